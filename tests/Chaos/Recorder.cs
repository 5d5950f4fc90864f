using System.Buffers.Binary;
using System.Diagnostics;
using MetaStore.Engine;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>
/// Asks, and writes down what was asked, when, and what came back. The order of events is that of one counter: a call is numbered before it is
/// sent and an answer after it has come, so that two operations which the history shows one after the other were so.
/// </summary>
internal sealed class Recorder
{
    private readonly Lock _gate = new();
    private List<HistoryEntry> _entries = [];
    private long _events;
    private long _values;

    private static long Now => (long)Stopwatch.GetElapsedTime(0).TotalNanoseconds;

    /// <summary>A value that nobody else writes: its number, then random bytes.</summary>
    public byte[] NewValue(SimulationRandom random, int paddingMax)
    {
        var value = new byte[sizeof(long) + random.Next(paddingMax)];
        random.NextBytes(value);
        BinaryPrimitives.WriteInt64LittleEndian(value, Interlocked.Increment(ref _values));
        return value;
    }

    /// <summary>Null where no answer came; whether the operation had an effect is then known only if the failure says so.</summary>
    public Task<StoreResponse?> AskAsync(IMetaStore store, StoreRequest request) => AskAsync(new StoreChaosClient(store), request);

    /// <inheritdoc cref="AskAsync(IMetaStore, StoreRequest)"/>
    public async Task<StoreResponse?> AskAsync(IChaosClient client, StoreRequest request)
    {
        var entry = new HistoryEntry { Request = request, Invoked = Interlocked.Increment(ref _events), InvokedAt = Now };
        try
        {
            entry.Response = await client.SendAsync(request);
            entry.Returned = Interlocked.Increment(ref _events);
            entry.ReturnedAt = Now;
        }
        catch (MetaStoreException e) when (e.Error is MetaStoreError.NoLeader or MetaStoreError.Timeout or MetaStoreError.ConnectionLost or MetaStoreError.Busy or MetaStoreError.Stopped)
        {
            entry.HadNoEffect = e.Outcome == Outcome.NotApplied;
        }

        lock (_gate)
        {
            _entries.Add(entry);
        }

        return entry.Response;
    }

    /// <summary>What was recorded since the last time.</summary>
    public IReadOnlyList<HistoryEntry> Take()
    {
        lock (_gate)
        {
            List<HistoryEntry> taken = _entries;
            _entries = [];
            return taken;
        }
    }
}
