using System.Buffers.Binary;
using System.Security.Cryptography;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Members;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Sessions;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>How a snapshot is restored.</summary>
public sealed record SnapshotRestoreOptions
{
    /// <summary>
    /// By how much the revision is raised, 0 or more, so that what clients have seen after the snapshot was saved is not given again with another content. With it all history is compacted: watches
    /// that resume hear so, instead of waiting for what has happened already. Must be above 0 with <see cref="MarkCompacted"/>, and only with it.
    /// </summary>
    public long RevisionBump { get; init; }

    /// <summary>All history before the restored revision is compacted.</summary>
    public bool MarkCompacted { get; init; }

    /// <summary>The SHA-256 behind a file that an etcd client saved need not fit, nor be there.</summary>
    public bool SkipHashCheck { get; init; }

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message says which and what would be right.</exception>
    public void Validate()
    {
        if (RevisionBump < 0)
        {
            throw new ArgumentException($"RevisionBump is {RevisionBump}; it must be 0 or more.");
        }

        if (MarkCompacted != RevisionBump > 0)
        {
            throw new ArgumentException(
                $"RevisionBump is {RevisionBump} and MarkCompacted {MarkCompacted}; a bump needs the mark, or watches would miss what happened in between, and the mark needs a bump.");
        }
    }
}

/// <summary>
/// Makes the data directory of a member of a new cluster from a saved snapshot. Each member's is made by itself, from the same content with the same members and options; they begin with the same state
/// at index 1. Cluster and members get new ids, which follow from all that: neither the cluster that was saved, nor another restore with other options, nor one of their
/// members can be taken for this one. Keys, history, leases (with all of their time) and the numbers that ids are drawn from are kept; sessions are not.
/// </summary>
public static class SnapshotRestore
{
    private const ulong Index = 1;
    private const ulong Term = 1;

    /// <summary>Restores into an empty directory.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="path">The snapshot.</param>
    /// <param name="settings">What the member is going to be opened with: its ids and members as those of a new cluster would be.</param>
    /// <param name="options">How.</param>
    /// <exception cref="ArgumentException">A setting is wrong.</exception>
    /// <exception cref="CorruptionException">The snapshot is damaged, or none of this store.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed or is full. The directory is to be removed; no node starts on it.</exception>
    public static RestoredMember Run(IDisk disk, string path, NodeSettings settings, SnapshotRestoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(disk);
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        settings.Validate();
        MvccStore store = SavedSnapshot.Load(disk, path, !options.SkipHashCheck, out byte[] sum, view => Restored(view, options));
        var configured = new WalIdentity(settings.ClusterId, settings.NodeId.Value);
        ulong clusterId = Draw("metastore restored cluster 1\n"u8, sum, (ulong)options.RevisionBump, configured.ClusterId);
        ulong IdOf(ulong member) => Draw("metastore restored node 1\n"u8, sum, clusterId, member);
        Membership membership = MemberTable.Bootstrap(settings.Members.Select(member => member with { Id = IdOf(member.Id) }));
        var identity = new WalIdentity(clusterId, IdOf(configured.NodeId));
        Write(disk, settings, store, membership, identity, configured);
        return new RestoredMember(identity, new Revision(store.View.Revision), store.View.Index.LiveCount, membership.Voters.Count);
    }

    /// <summary>
    /// The settings that a node is opened with, if its directory was restored for these: with the ids that it got then. Others come back as they are, and so do those of a member whose directory was not
    /// restored.
    /// </summary>
    /// <exception cref="CorruptionException">A file that says whose the directory is is damaged.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static NodeSettings Resolve(IDisk disk, NodeSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        bool isFor = RestoredMarker.TryRead(disk, settings.DataDirectory) is { } configured && configured == new WalIdentity(settings.ClusterId, settings.NodeId.Value);
        return isFor && DirectoryIdentity.TryRead(disk, settings.DataDirectory) is { } named
            ? settings with { ClusterId = named.Identity.ClusterId, NodeId = new NodeId(named.Identity.NodeId), Members = [] }
            : settings;
    }

    private static StoreView Restored(StoreView view, SnapshotRestoreOptions options)
    {
        if (view.Revision > long.MaxValue - options.RevisionBump)
        {
            throw new ArgumentException($"the snapshot is at revision {view.Revision}: a bump of {options.RevisionBump} is more than there are revisions.");
        }

        long revision = view.Revision + options.RevisionBump;
        return new StoreView
        {
            Revision = revision,
            CompactRevision = options.MarkCompacted ? revision : view.CompactRevision,
            Index = view.Index,
            AppliedIndex = Index,
            AppliedTerm = Term,
            Digest = StateDigest.Add(view.Digest, (ulong)revision),
            Sessions = SessionTable.Restore([], view.Sessions.LastId, view.Sessions.Limits),
            Leases = Renewed(view.Leases),
            IsHollow = view.IsHollow,
        };
    }

    /// <summary>Nobody could renew them while there was no cluster: each begins anew.</summary>
    private static LeaseTable Renewed(LeaseTable leases)
    {
        var renewed = leases.ToBuilder();
        foreach (Lease lease in leases.All)
        {
            renewed[lease.Id] = lease with { RemainingMilliseconds = lease.TtlMilliseconds };
        }

        return new LeaseTable(renewed.ToImmutable(), leases.LastDrawn);
    }

    /// <summary>
    /// In an order in which no crash leaves a directory that a node would start on: a snapshot without a log is refused, and so is a log of this cluster without the word on what it was
    /// restored for.
    /// </summary>
    private static void Write(IDisk disk, NodeSettings settings, MvccStore store, Membership membership, WalIdentity identity, WalIdentity configured)
    {
        uint group = NodeCore.Group.Value;
        disk.CreateDirectory(settings.DataDirectory);
        var files = new SnapshotStore(disk, settings.DataDirectory, identity);
        using (SnapshotWriter file = files.Create(group, new SnapshotInfo(Index, Term, MembershipCodec.Encode(membership))))
        {
            using var writer = new StoreSnapshotWriter(store, file.Write);
            while (writer.WriteSlice(1 << 20))
            {
                // Slice by slice, so that no more than one is in memory.
            }

            file.Complete();
        }

        using (WriteAheadLog log = WriteAheadLog.Open(disk, settings.DataDirectory, identity, settings.Wal, out _))
        {
            log.Write([new LogWrite { GroupId = group, WriteId = 0, Mark = new LogSnapshotMark(Index, Term), HardState = new LogHardState(Term, Vote: 0, Commit: Index) }]);
        }

        RestoredMarker.Write(disk, settings.DataDirectory, configured);
        DirectoryIdentity.ReadOrCreate(disk, settings.DataDirectory, identity, new SplitMix64(settings.Seed).Next);
    }

    /// <summary>An id that follows from what it is given: the first 8 bytes, little-endian, of the SHA-256 over it. Never change this.</summary>
    private static ulong Draw(ReadOnlySpan<byte> what, byte[] sum, ulong first, ulong second)
    {
        Span<byte> numbers = stackalloc byte[2 * sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(numbers, first);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers[sizeof(ulong)..], second);
        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData([.. what, .. sum, .. numbers]));
        return id == 0 ? 1 : id;
    }
}

/// <summary>What came of a restore.</summary>
/// <param name="Identity">The ids of the new cluster and of this member in it.</param>
/// <param name="Revision">The revision that the store is at.</param>
/// <param name="KeyCount">Its live keys.</param>
/// <param name="MemberCount">The members of the new cluster.</param>
public sealed record RestoredMember(WalIdentity Identity, Revision Revision, long KeyCount, int MemberCount);
