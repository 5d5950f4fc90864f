using System.Security.Cryptography;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>What a saved snapshot holds: all of it was read, and is sound.</summary>
public sealed record SavedSnapshot
{
    /// <summary>The hash over its keys and their history, as <see cref="IMetaStore.HashAsync"/> gives it at this revision.</summary>
    public required uint Hash { get; init; }

    /// <summary>Its revision.</summary>
    public required Revision Revision { get; init; }

    /// <summary>The oldest revision that it can be read at; 0 where it never was compacted.</summary>
    public required Revision CompactRevision { get; init; }

    /// <summary>Live keys.</summary>
    public required long KeyCount { get; init; }

    /// <summary>Bytes of the file.</summary>
    public required long FileBytes { get; init; }

    /// <summary>Reads a file, and checks all of it. Takes as much memory as the store does.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="CorruptionException">It is damaged, or no snapshot of this store; file, offset and cause are named.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed, or there is no such file.</exception>
    public static SavedSnapshot Read(IDisk disk, string path)
    {
        ArgumentNullException.ThrowIfNull(disk);
        MvccStore store = Load(disk, path, checksSum: true, out _);
        StoreView view = store.View;
        using IDiskFile file = disk.Open(path, readOnly: true);
        return new SavedSnapshot
        {
            Hash = StoreHash.Compute(store, view.Revision, view.CompactRevision),
            Revision = new Revision(view.Revision),
            CompactRevision = new Revision(view.CompactRevision),
            KeyCount = view.Index.LiveCount,
            FileBytes = file.Length,
        };
    }

    /// <summary>The store that a file holds, with another view where that is asked for.</summary>
    internal static MvccStore Load(IDisk disk, string path, bool checksSum, out byte[] sum, Func<StoreView, StoreView>? change = null)
    {
        using SavedFile file = SavedFile.Open(disk, path, checksSum);
        try
        {
            using var content = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var reader = new StoreSnapshotReader(file.Read, Membership.Empty, InlineForkJoin.One, content.AppendData);
            MvccStore store = reader.Read(change);
            file.RequireEnd(reader.ReadBehind);
            sum = content.GetHashAndReset(); // The same for the same content in either form.
            return store.View.IsHollow ? throw new SnapshotFormatException("it was taken from a witness, which holds no data") : store;
        }
        catch (SnapshotFormatException error)
        {
            throw new CorruptionException(path, 0, error.Message, error);
        }
    }
}
