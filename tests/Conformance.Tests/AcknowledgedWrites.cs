using System.Collections.Concurrent;
using System.Text;
using MetaStore.Engine;
using MetaStore.Net;

namespace MetaStore.Conformance.Tests;

/// <summary>
/// Writers that keep putting numbered keys, one at a time each, and a book of what was acknowledged. A key is written once, with a value
/// that tells it, so that whoever reads it back knows what it must be.
/// </summary>
internal sealed class AcknowledgedWrites
{
    private readonly ConcurrentDictionary<string, string> _acknowledged = new(StringComparer.Ordinal);
    private long _next;
    private long _acknowledgedAfterFailure;

    public int Count => _acknowledged.Count;

    /// <summary>Puts acknowledged to a writer to which the same node had failed a put before: always 0, if the node keeps its word.</summary>
    public long AcknowledgedAfterFailure => Interlocked.Read(ref _acknowledgedAfterFailure);

    /// <summary>The first failure that a writer met; null before.</summary>
    public MetaStoreException? FirstFailure { get; private set; }

    /// <summary>Writes until told to stop. A writer whose put failed goes on: the node must not take anything after it has failed for good.</summary>
    public async Task WriteAsync(string endpoint, int writers, int valueBytes, CancellationToken stop)
    {
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions
        {
            Endpoints = [endpoint],
            RequestTimeout = TimeSpan.FromSeconds(2),
            BackoffMax = TimeSpan.FromMilliseconds(50),
        });
        await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => WriteOneByOneAsync(client, valueBytes, stop)));
    }

    /// <summary>Asserts that every acknowledged put is there, with its value.</summary>
    public async Task AssertAllThereAsync(string endpoint)
    {
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [endpoint], RequestTimeout = TimeSpan.FromSeconds(30) });
        IReadOnlyDictionary<string, string> found = await StoreReading.ReadAllAsync(client, "w/", serializable: false);
        string[] lost = [.. _acknowledged.Where(put => !found.TryGetValue(put.Key, out string? value) || value != put.Value).Select(put => put.Key).Order(StringComparer.Ordinal)];
        Assert.True(lost.Length == 0, $"{lost.Length} of {_acknowledged.Count} acknowledged puts are lost, the first is {lost.FirstOrDefault()}");
    }

    private async Task WriteOneByOneAsync(MetaStoreClient client, int valueBytes, CancellationToken stop)
    {
        bool nodeHasFailed = false;
        while (!stop.IsCancellationRequested)
        {
            long number = Interlocked.Increment(ref _next);
            string key = $"w/{number:d9}";
            string value = $"{number}:".PadRight(valueBytes, (char)('a' + (number % 26)));
            try
            {
                await client.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes(key), Value = Encoding.UTF8.GetBytes(value) }, stop);
                _acknowledged[key] = value;
                if (nodeHasFailed)
                {
                    Interlocked.Increment(ref _acknowledgedAfterFailure);
                }
            }
            catch (MetaStoreException e)
            {
                FirstFailure ??= e;
                nodeHasFailed |= e.Error == MetaStoreError.NodeFailed;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
        }
    }
}
