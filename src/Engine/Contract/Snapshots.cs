namespace MetaStore.Engine;

/// <summary>Copies of a whole store. The embedded node and the remote client both implement it. Failures are those of <see cref="IMetaStore"/>.</summary>
public interface IMetaStoreSnapshots
{
    /// <summary>
    /// All that the answering node has now, as the bytes of a snapshot file with its checksums, piece by piece, while the store goes on. The file is whole only when the enumeration ends by itself. History
    /// of that revision is held back until then. Local: the copy is as old as the node is behind. The remote client does not begin anew at another node where one fails.
    /// </summary>
    /// <returns>Pieces of about a MiB, each good until the next is asked for.</returns>
    IAsyncEnumerable<ReadOnlyMemory<byte>> SnapshotAsync(CancellationToken cancellationToken = default);
}
