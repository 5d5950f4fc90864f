using System.Collections.Immutable;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Sessions;
using MetaStore.Raft;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// Builds a store from the payload that <see cref="StoreSnapshotWriter"/> wrote. The bytes have passed the file's checksums; what
/// is checked here is their shape and order, so that a snapshot of a faulty writer is refused as well.
/// </summary>
internal sealed class StoreSnapshotReader(SnapshotSource source, Membership membership, IForkJoin parts, SnapshotSink? used = null, int pieceBytesMax = SnapshotKeyLoader.PieceBytesMax)
{
    private readonly SnapshotInput _input = new(source, used);
    private readonly StoreMemory _memory = new();

    /// <summary>Bytes of the payload that the store was made of. The source may have been asked for more.</summary>
    public long BytesRead => _input.Offset;

    /// <summary>Fills the buffer with what stands behind the payload; fewer bytes only at the end.</summary>
    public int ReadBehind(Span<byte> buffer) => _input.Read(buffer);

    /// <param name="change">Makes of the view that was read the one that the store is to have, of the same keys; null: as it was read.</param>
    /// <exception cref="SnapshotFormatException">The payload is not a snapshot that this program can read.</exception>
    public MvccStore Read(Func<StoreView, StoreView>? change = null)
    {
        uint format = UInt32();
        Require(format == StoreSnapshotWriter.Format, $"format {format}; this program reads format {StoreSnapshotWriter.Format}");
        uint flags = UInt32();
        Require((flags & ~StoreSnapshotWriter.HollowFlag) == 0, $"flags {flags:x} mean nothing in format {StoreSnapshotWriter.Format}");
        long revision = Int64();
        long compactRevision = Int64();
        ulong appliedIndex = UInt64();
        ulong appliedTerm = UInt64();
        ulong digest = UInt64();
        Require(compactRevision <= revision, $"compact revision {compactRevision} lies behind revision {revision}");
        var index = new KeyIndexBuilder(_memory);
        var keys = new SnapshotKeyLoader(_input, parts, _memory, index, pieceBytesMax);
        keys.Load(revision, compactRevision);
        RequireChangesUpTo(revision, keys);
        var events = new EventLog(_memory);
        events.Restore(keys.Changes);
        if (KnownBugs.RevisionLostByCompaction)
        {
            revision = Math.Max(keys.Newest, Revision.First.Value);
        }

        var view = new StoreView
        {
            Revision = revision,
            CompactRevision = compactRevision,
            Index = index.Publish(),
            AppliedIndex = appliedIndex,
            AppliedTerm = appliedTerm,
            Digest = digest,
            Membership = membership,
            Sessions = ReadSessions(appliedIndex),
            Leases = ReadLeases(keys.Attached),
            IsHollow = flags != 0,
        };
        return new MvccStore(_memory, index, events, change?.Invoke(view) ?? view);
    }

    /// <summary>
    /// Each revision behind the compacted one has changed something. The log of events has a place for each revision, so a few changes that lie far apart would have it take memory without end.
    /// </summary>
    private void RequireChangesUpTo(long revision, SnapshotKeyLoader keys) => Require(
        keys.Changes.Count == 0 || (revision - keys.OldestChange) / EventSegment.Revisions <= keys.Changes.Count,
        $"{keys.Changes.Count} changes from revision {keys.OldestChange} to {revision}, each of which has changed something");

    private SessionTable ReadSessions(ulong appliedIndex)
    {
        ulong lastId = UInt64();
        var limits = new SessionLimits(UInt32(), UInt32(), UInt64());
        uint count = UInt32();
        Require(count <= limits.SessionsMax, $"{count} sessions where {limits.SessionsMax} are kept at most");
        var sessions = new List<Session>();
        ulong bytes = 0;
        for (uint i = 0; i < count; i++)
        {
            ulong id = UInt64();
            Require(id <= lastId && (i == 0 || id > sessions[^1].Id), $"session {id} is out of order or beyond the last one, {lastId}");
            sessions.Add(ReadSession(id, appliedIndex));
            bytes += sessions[^1].Bytes;
            Require(bytes <= limits.TotalBytesMax || count == 1, $"{bytes} bytes of sessions where {limits.TotalBytesMax} are kept at most");
        }

        return SessionTable.Restore(sessions, lastId, limits);
    }

    private Session ReadSession(ulong id, ulong appliedIndex)
    {
        ulong lastUsed = UInt64();
        Require(lastUsed <= appliedIndex, $"session {id} was used at index {lastUsed}, behind {appliedIndex}");
        ulong floor = UInt64();
        uint keptBytesMax = UInt32();
        uint count = UInt32();
        Require(count <= SessionRequest.UnacknowledgedMax, $"session {id} has {count} answers; {SessionRequest.UnacknowledgedMax} are kept at most");
        var session = Session.Restore(id, lastUsed, floor, keptBytesMax, ImmutableSortedDictionary<ulong, KeptAnswer>.Empty);
        ImmutableSortedDictionary<ulong, KeptAnswer>.Builder answers = ImmutableSortedDictionary.CreateBuilder<ulong, KeptAnswer>();
        long room = keptBytesMax;
        ulong last = 0;
        for (uint i = 0; i < count; i++)
        {
            ulong sequence = UInt64();
            Require(sequence > last && session.Takes(sequence), $"session {id}, floor {floor}: request {sequence} after {last} is out of order or of the window");
            var error = (MetaStoreError)UInt16();
            uint length = UInt32();
            Require(length <= Math.Min(room, SessionRequest.KeptAnswerBytesMax), $"session {id} has room for {room} bytes of answers, and one of {length}");
            byte[] answer = Bytes(length);
            answers.Add(sequence, new KeptAnswer(answer.Length == 0 ? null : answer, error));
            room -= length;
            last = sequence;
        }

        return Session.Restore(id, lastUsed, floor, keptBytesMax, answers.ToImmutable());
    }

    private LeaseTable ReadLeases(Dictionary<long, ImmutableSortedSet<byte[]>.Builder> attached)
    {
        ulong lastDrawn = UInt64();
        var leases = ImmutableSortedDictionary.CreateBuilder<long, Lease>();
        long last = 0;
        for (uint left = UInt32(); left > 0; left--)
        {
            long id = Int64();
            Require(id > last, $"lease {id:x} follows {last:x}");
            last = id;
            long ttl = Int64();
            long remaining = Int64();
            Require(remaining >= 0 && remaining <= ttl, $"lease {id:x} has {remaining} ms of {ttl} left");
            byte flags = Byte();
            Require((flags & ~StoreSnapshotWriter.EndsWithLastKeyFlag) == 0, $"flags {flags:x} of a lease mean nothing in format {StoreSnapshotWriter.Format}");
            ImmutableSortedSet<byte[]> keys = attached.Remove(id, out ImmutableSortedSet<byte[]>.Builder? its) ? its.ToImmutable() : Lease.NoKeys;
            leases.Add(id, new Lease(id, ttl, remaining, flags != 0, keys));
        }

        Require(attached.Count == 0, $"keys belong to lease {attached.Keys.FirstOrDefault():x}, which is not there");
        return new LeaseTable(leases.ToImmutable(), lastDrawn);
    }

    private byte Byte() => _input.Byte();

    private ushort UInt16() => _input.UInt16();

    private uint UInt32() => _input.UInt32();

    private ulong UInt64() => _input.UInt64();

    private long Int64() => _input.Int64();

    private byte[] Bytes(uint length) => _input.Bytes(length);

    private void Require(bool condition, string cause)
    {
        if (!condition)
        {
            throw SnapshotInput.Wrong(cause, _input.Offset);
        }
    }
}
