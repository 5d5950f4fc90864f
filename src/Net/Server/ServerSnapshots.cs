using MetaStore.Engine;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Server;

/// <summary>
/// Makes the parts of the snapshots that clients ask for. A snapshot holds history back as long as it lasts, so there are few at a time, and one of which nothing is taken for long is ended.
/// </summary>
/// <param name="store">What snapshots are taken of; null: it has none.</param>
/// <param name="places">Those of the server, for all its connections.</param>
/// <param name="options">Settings of the server.</param>
/// <param name="answerBytesMax">Bytes of one answer that the client takes.</param>
internal sealed class ServerSnapshots(IMetaStoreSnapshots? store, SnapshotPlaces places, BinaryServerOptions options, long answerBytesMax)
{
    /// <summary>Sends a snapshot, part after part.</summary>
    /// <exception cref="MetaStoreException">It cannot be had, or was not taken.</exception>
    public async Task ProcessAsync(ServerWatch stream, Func<SnapshotPart, ValueTask> send)
    {
        if (store is null)
        {
            throw new MetaStoreException(MetaStoreError.InvalidArgument, "This store has no snapshots.");
        }

        if (!places.TryEnter())
        {
            throw new MetaStoreException(MetaStoreError.Busy, $"{SnapshotPlaces.Most} snapshots are being taken of this node; try again later, or ask another one.");
        }

        try
        {
            int most = (int)Math.Min(answerBytesMax - SnapshotCodec.PartOverhead, int.MaxValue);
            await foreach (ReadOnlyMemory<byte> piece in store.SnapshotAsync(stream.Left).ConfigureAwait(false))
            {
                for (ReadOnlyMemory<byte> rest = piece; !rest.IsEmpty;)
                {
                    // A copy: it is written later, and the piece is good until the next alone.
                    byte[] bytes = rest[..Math.Min(rest.Length, most)].ToArray();
                    rest = rest[bytes.Length..];
                    await SendAsync(new SnapshotPart(bytes, IsLast: false), send).ConfigureAwait(false);
                }
            }

            await SendAsync(new SnapshotPart(default, IsLast: true), send).ConfigureAwait(false);
        }
        finally
        {
            places.Leave();
        }
    }

    private async ValueTask SendAsync(SnapshotPart part, Func<SnapshotPart, ValueTask> send)
    {
        try
        {
            await send(part).AsTask().WaitAsync(options.RequestTimeoutMax, options.TimeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw new MetaStoreException(MetaStoreError.Timeout, $"Nothing was taken of the snapshot for {options.RequestTimeoutMax.TotalSeconds} s, so it is given up.", Outcome.NotApplied, e);
        }
    }
}

/// <summary>How many snapshots of a server are under way.</summary>
internal sealed class SnapshotPlaces
{
    /// <summary>At a time.</summary>
    public const int Most = 4;

    private int _taken;

    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _taken) <= Most)
        {
            return true;
        }

        Interlocked.Decrement(ref _taken);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _taken);
}
