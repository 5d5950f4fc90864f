using System.Diagnostics;
using System.Diagnostics.Tracing;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Figures;

/// <summary>How long the garbage collector stops an embedded node of five million keys, under four reads to one put.</summary>
/// <remarks>
/// At a rate, by default. As fast as it goes, all processors are busy, and where the machine is one of many on a host, or has a quota, it is held up for tens of milliseconds then: that is no pause of the
/// collector's, but the clock that measures one runs on meanwhile.
/// </remarks>
/// <param name="directory">For the node's data.</param>
/// <param name="duration">How long the load lasts.</param>
/// <param name="rate">Operations a second; 0: as fast as it goes.</param>
internal sealed class PauseFigures(string directory, TimeSpan duration, int rate)
{
    private const int PacedTogether = 32;
    private const int Keys = 5_000_000;
    private const int Fillers = 32;
    private const int PutsInTransaction = 100;
    private const int Workers = 32;
    private const double PauseMillisecondsMax = 5;

    private long _operations;

    public IEnumerable<Figure> Run() => RunAsync().GetAwaiter().GetResult();

    private async Task<IEnumerable<Figure>> RunAsync()
    {
        string data = Path.Combine(directory, "pauses");
        if (Directory.Exists(data))
        {
            Directory.Delete(data, recursive: true);
        }

        await using MetaStoreNode node = MetaStoreNode.OpenSingle(data);
        await FillAsync(node);
        using var pauses = new PauseListener();
        long begin = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(() => WorkAsync(node, worker, begin))));
        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        return
        [
            new Figure($"pause_longest_5m_keys{Suffix}", pauses.Longest.TotalMilliseconds, "ms", PauseMillisecondsMax),
            new Figure($"pause_longest_stopping_5m_keys{Suffix}", pauses.LongestStopping.TotalMilliseconds, "ms", double.NaN),
            new Figure($"pauses_above_5_ms_5m_keys{Suffix}", pauses.AboveMax, "pauses", double.NaN),
            new Figure($"pauses_5m_keys{Suffix}", pauses.Count, "pauses", double.NaN),
            new Figure($"pauses_share_5m_keys{Suffix}", 100 * pauses.Total.TotalSeconds / seconds, "%", double.NaN),
            new Figure($"operations_80_20_5m_keys{Suffix}", _operations / seconds, "op/s", double.NaN),
            new Figure($"managed_heap_5m_keys{Suffix}", GC.GetTotalMemory(forceFullCollection: false) / 1048576.0, "MiB", double.NaN),
        ];
    }

    private string Suffix => rate == 0 ? "_saturated" : string.Empty;

    private static Task FillAsync(MetaStoreNode node)
    {
        int next = 0;
        return Task.WhenAll(Enumerable.Range(0, Fillers).Select(_ => Task.Run(async () =>
        {
            byte[] value = new byte[TestStore.ValueBytes];
            while (true)
            {
                int from = Interlocked.Add(ref next, PutsInTransaction) - PutsInTransaction;
                if (from >= Keys)
                {
                    return;
                }

                StoreRequest[] puts = [.. Enumerable.Range(from, PutsInTransaction).Select(i => new PutRequest { Key = TestStore.Key(i), Value = value })];
                await node.TxnAsync(new TxnRequest { Success = puts });
            }
        })));
    }

    private async Task WorkAsync(MetaStoreNode node, int worker, long begin)
    {
        var random = new Random(worker);
        byte[] value = new byte[TestStore.ValueBytes];
        long operations = 0;
        for (; Stopwatch.GetElapsedTime(begin) < duration; operations++)
        {
            if (rate > 0 && operations % PacedTogether == 0)
            {
                TimeSpan ahead = TimeSpan.FromSeconds((double)operations * Workers / rate) - Stopwatch.GetElapsedTime(begin);
                await Task.Delay(ahead > TimeSpan.Zero ? ahead : TimeSpan.Zero);
            }

            byte[] key = TestStore.Key(random.Next(Keys));
            if (random.Next(5) == 0)
            {
                await node.PutAsync(new PutRequest { Key = key, Value = value });
            }
            else
            {
                await node.RangeAsync(new RangeRequest { Key = key });
            }
        }

        Interlocked.Add(ref _operations, operations);
    }

    /// <summary>The runtime's own events: from the wish to stop all threads, over the moment when they all stand, until they run again.</summary>
    private sealed class PauseListener : EventListener
    {
        private const EventKeywords Collector = (EventKeywords)0x1;

        private DateTime _begun;
        private DateTime _stopped;

        public TimeSpan Longest { get; private set; }

        /// <summary>The part of <see cref="Longest"/> that it took until all threads stood: waiting for the processors, not collecting.</summary>
        public TimeSpan LongestStopping { get; private set; }

        public int AboveMax { get; private set; }

        public TimeSpan Total { get; private set; }

        public int Count { get; private set; }

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name == "Microsoft-Windows-DotNETRuntime")
            {
                EnableEvents(eventSource, EventLevel.Informational, Collector);
            }
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            switch (eventData.EventName)
            {
                case "GCSuspendEEBegin_V1":
                    _begun = eventData.TimeStamp;
                    break;
                case "GCSuspendEEEnd_V1":
                    _stopped = eventData.TimeStamp;
                    break;
                case "GCRestartEEEnd_V1" when _begun != default:
                    Add(eventData.TimeStamp - _begun, _stopped - _begun);
                    break;
            }
        }

        private void Add(TimeSpan pause, TimeSpan stopping)
        {
            if (pause > Longest)
            {
                Longest = pause;
                LongestStopping = stopping;
            }

            AboveMax += pause.TotalMilliseconds > PauseMillisecondsMax ? 1 : 0;
            Total += pause;
            Count++;
        }
    }
}
