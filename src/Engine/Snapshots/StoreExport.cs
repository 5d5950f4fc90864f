using System.Buffers;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// All that a store has at one revision, as bytes, piece by piece while the store goes on: what a snapshot file carries, without the file (see <c>StoreSnapshotWriter</c>
/// for the format). Keeps history of that revision back until it is disposed. One caller at a time.
/// </summary>
public sealed class StoreExport : IDisposable
{
    private const int SliceBytes = 1 << 20;

    private readonly ArrayBufferWriter<byte> _slice = new();
    private readonly StoreSnapshotWriter _writer;
    private bool _isWhole;

    internal StoreExport(MvccStore store)
    {
        // Gone through twice: whoever receives it wants to know beforehand how long it will be.
        var first = new StoreSnapshotWriter(store, bytes => Length += bytes.Length);
        try
        {
            Revision = new Revision(first.View.Revision);
            while (first.WriteSlice(SliceBytes))
            {
                // The sink counts.
            }

            _writer = first.Again(bytes => _slice.Write(bytes));
        }
        catch
        {
            first.Dispose();
            throw;
        }
    }

    /// <summary>Its length, in bytes.</summary>
    public long Length { get; private set; }

    /// <summary>The revision that it was taken at.</summary>
    public Revision Revision { get; }

    /// <summary>The next piece, of about a MiB, or of one key with all its history; good until the next call. Empty at the end.</summary>
    public ReadOnlyMemory<byte> ReadNext()
    {
        _slice.ResetWrittenCount();
        while (!_isWhole && _slice.WrittenCount == 0)
        {
            _isWhole = !_writer.WriteSlice(SliceBytes);
        }

        return _slice.WrittenMemory;
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();
}
