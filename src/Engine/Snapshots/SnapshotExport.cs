using System.Buffers;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// The snapshot file that a node would write now, as bytes, piece by piece while the store goes on. Keeps history of its revision back until it is disposed. One caller at a time.
/// </summary>
internal sealed class SnapshotExport : IDisposable
{
    private const int SliceBytes = 1 << 20;

    private readonly ArrayBufferWriter<byte> _piece = new();
    private readonly StoreSnapshotWriter _writer;
    private readonly SnapshotEncoder _encoder;
    private bool _isWhole;

    public SnapshotExport(MvccStore store, WalIdentity identity, uint groupId)
    {
        _writer = new StoreSnapshotWriter(store, bytes => _encoder!.Write(bytes));
        StoreView view = _writer.View;
        _encoder = new SnapshotEncoder(
            identity, groupId, new SnapshotInfo(view.AppliedIndex, view.AppliedTerm, MembershipCodec.Encode(view.Membership)), bytes => _piece.Write(bytes));
    }

    /// <summary>The next piece, of about a MiB; good until the next call. Empty at the end.</summary>
    public ReadOnlyMemory<byte> ReadNext()
    {
        if (_isWhole)
        {
            return default;
        }

        if (_encoder.PayloadBytes > 0)
        {
            _piece.ResetWrittenCount(); // Before that the header waits in it.
        }

        while (!_isWhole && _piece.WrittenCount < SliceBytes)
        {
            if (!_writer.WriteSlice(SliceBytes))
            {
                _encoder.Complete();
                _isWhole = true;
            }
        }

        return _piece.WrittenMemory;
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();
}
