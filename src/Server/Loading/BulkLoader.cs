using System.Threading.Channels;
using MetaStore.Engine;

namespace MetaStore.Server.Loading;

/// <summary>How far a load has come. Written by the loader, read by the progress bar.</summary>
internal sealed class LoadCounters
{
    private long _stored;
    private long _valueBytes;
    private long _repeated;
    private long _inputBytes;

    public long Stored => Volatile.Read(ref _stored);

    public long StoredBytes => Volatile.Read(ref _valueBytes);

    /// <summary>Puts that were sent again because the first answer was lost or no node could take them.</summary>
    public long Repeated => Volatile.Read(ref _repeated);

    public long InputBytes => Volatile.Read(ref _inputBytes);

    public void AddStored(int bytes)
    {
        Interlocked.Increment(ref _stored);
        Interlocked.Add(ref _valueBytes, bytes);
    }

    public void AddRepeated() => Interlocked.Increment(ref _repeated);

    public void AddInput(long bytes) => Interlocked.Add(ref _inputBytes, bytes);
}

/// <summary>
/// Stores lines with many puts in flight. Lines of one key go through one worker, one after the other, so the last line of a key wins. A put
/// whose outcome is unknown is sent again: the same value under the same key, so at worst the key's version counts one more. That is
/// safe as long as nobody else writes these keys meanwhile.
/// </summary>
internal sealed class BulkLoader(IMetaStore store, int concurrency, TimeSpan patience, TimeProvider time, LoadCounters counters)
{
    private const int QueuedPerWorker = 16;

    private static readonly TimeSpan s_pauseMin = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_pauseMax = TimeSpan.FromSeconds(1);

    /// <exception cref="RefusalException">A line is wrong, or a put was refused; the message names the line.</exception>
    public async Task RunAsync(IAsyncEnumerable<LoadLine> lines, CancellationToken cancellationToken)
    {
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Channel<LoadLine>[] queues =
        [
            .. Enumerable.Range(0, concurrency).Select(_ => Channel.CreateBounded<LoadLine>(
                new BoundedChannelOptions(QueuedPerWorker) { SingleReader = true, SingleWriter = true })),
        ];
        Task[] workers = [.. queues.Select(queue => WorkAsync(queue.Reader, failed))];
        Exception? inputError = null;
        try
        {
            await foreach (LoadLine line in lines.WithCancellation(failed.Token))
            {
                await queues[Slot(line.Key)].Writer.WriteAsync(line, failed.Token);
            }
        }
        catch (OperationCanceledException) when (failed.IsCancellationRequested)
        {
            // A worker failed, which says more, or the caller had enough.
        }
        catch (RefusalException e)
        {
            inputError = e; // what was read before it is stored all the same
        }

        foreach (Channel<LoadLine> queue in queues)
        {
            queue.Writer.Complete();
        }

        await AwaitFirstFailureAsync(workers);
        cancellationToken.ThrowIfCancellationRequested();
        if (inputError is not null)
        {
            throw inputError;
        }
    }

    private static async Task AwaitFirstFailureAsync(Task[] workers)
    {
        await Task.WhenAll(workers.Select(worker => worker.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default)));
        foreach (Task worker in workers.Where(worker => worker.IsFaulted))
        {
            await worker;
        }
    }

    private int Slot(ReadOnlySpan<byte> key)
    {
        var hash = default(HashCode);
        hash.AddBytes(key);
        return (int)((uint)hash.ToHashCode() % (uint)concurrency);
    }

    private async Task WorkAsync(ChannelReader<LoadLine> queue, CancellationTokenSource failed)
    {
        try
        {
            await foreach (LoadLine line in queue.ReadAllAsync(failed.Token))
            {
                await PutAsync(line, failed.Token);
                counters.AddStored(line.Key.Length + line.Value.Length);
            }
        }
        catch (RefusalException)
        {
            await failed.CancelAsync();
            throw;
        }
    }

    private async Task PutAsync(LoadLine line, CancellationToken cancellationToken)
    {
        var request = new PutRequest { Key = line.Key, Value = line.Value };
        long start = time.GetTimestamp();
        TimeSpan pause = s_pauseMin;
        while (true)
        {
            try
            {
                await store.PutAsync(request, cancellationToken);
                return;
            }
            catch (MetaStoreException e)
            {
                if (!CanMend(e) || time.GetElapsedTime(start) >= patience)
                {
                    throw new RefusalException(ExitCode.Failed, $"line {line.Number}: {e.Message}", e);
                }
            }

            counters.AddRepeated();
            await Task.Delay(pause, time, cancellationToken);
            pause = pause * 2 < s_pauseMax ? pause * 2 : s_pauseMax;
        }
    }

    private static bool CanMend(MetaStoreException failure) => failure.Error
        is MetaStoreError.ConnectionLost or MetaStoreError.NoLeader or MetaStoreError.Busy or MetaStoreError.Stopped
        or MetaStoreError.Timeout or MetaStoreError.NodeFailed;
}
