using System.Diagnostics;
using System.Text;
using MetaStore.Engine;

namespace MetaStore.Load;

/// <summary>One closed loop. Its samples are its own until the run has ended.</summary>
internal sealed class Worker(int number, IMetaStore store, LoadOptions options, byte[] pool, StrongBox deleted)
{
    private const string Prefix = "k/";

    private readonly Random _random = new(options.Seed + (1000 * number));

    /// <summary>Latencies in stopwatch ticks.</summary>
    public List<long> Reads { get; } = [];

    /// <summary>Latencies in stopwatch ticks.</summary>
    public List<long> Writes { get; } = [];

    public long Errors { get; private set; }

    public void Forget()
    {
        Reads.Clear();
        Writes.Clear();
        Errors = 0;
    }

    /// <summary>Connects and touches every key this worker's client needs first, outside the first sample.</summary>
    public async Task ConnectAsync() => await store.RangeAsync(new RangeRequest { Key = Key(0), Serializable = true });

    public async Task RunAsync(TimeSpan duration)
    {
        long end = Stopwatch.GetTimestamp() + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        while (true)
        {
            long start = Stopwatch.GetTimestamp();
            if (start > end || deleted.Value >= options.KeySpace)
            {
                return; // To delete a key that is gone would be another operation.
            }

            try
            {
                bool isWrite = await OnceAsync();
                (isWrite ? Writes : Reads).Add(Stopwatch.GetTimestamp() - start);
            }
            catch (Exception e) when (e is MetaStoreException or InvalidOperationException)
            {
                if (Errors++ == 0)
                {
                    await Console.Error.WriteLineAsync($"load: {e.Message}");
                }
            }
        }
    }

    /// <summary>Writes keys from a shared counter, 100 to a transaction, until all are there.</summary>
    public async Task FillAsync(StrongBox next)
    {
        while (true)
        {
            long from = next.Add(100) - 100;
            int count = (int)Math.Min(100, options.Prefill - from);
            if (count <= 0)
            {
                return;
            }

            var puts = new StoreRequest[count];
            for (int i = 0; i < count; i++)
            {
                puts[i] = new PutRequest { Key = Key(from + i), Value = Value() };
            }

            await store.TxnAsync(new TxnRequest { Success = puts });
        }
    }

    /// <summary>Number n as a key of exactly the key size, in numeric order.</summary>
    private byte[] Key(long n)
    {
        var key = new byte[options.KeySize];
        Array.Fill(key, (byte)'0');
        Encoding.ASCII.GetBytes(Prefix, key);
        string digits = n.ToString();
        Encoding.ASCII.GetBytes(digits, key.AsSpan(key.Length - digits.Length));
        return key;
    }

    private ReadOnlyMemory<byte> Value() => pool.AsMemory(_random.Next(pool.Length - options.ValueSize), options.ValueSize);

    /// <summary>One operation; true for a write.</summary>
    private async ValueTask<bool> OnceAsync()
    {
        long k = _random.NextInt64(options.KeySpace);
        string operation = options.Operation;
        if (operation == "mixed80")
        {
            operation = _random.Next(100) >= 80 ? "put" : "get"; // four linearizable gets to one put, on average
        }

        switch (operation)
        {
            case "put":
                await store.PutAsync(new PutRequest { Key = Key(k), Value = Value() });
                return true;
            case "get":
                await store.RangeAsync(new RangeRequest { Key = Key(k) });
                return false;
            case "get-serializable":
                await store.RangeAsync(new RangeRequest { Key = Key(k), Serializable = true });
                return false;
            case "range":
                await RangeAsync(k);
                return false;
            case "txn": // one compare, then one put in either branch
                byte[] key = Key(k);
                StoreRequest[] put = [new PutRequest { Key = key, Value = Value() }];
                var exists = new Compare { Key = key, Target = CompareTarget.Version, Relation = CompareRelation.NotEqual };
                await store.TxnAsync(new TxnRequest { Compare = [exists], Success = put, Failure = put });
                return true;
            default:
                await DeleteAsync(deleted.Add(1) - 1);
                return true;
        }
    }

    /// <summary>Each key is deleted once, in order.</summary>
    private async ValueTask DeleteAsync(long k)
    {
        DeleteRangeResponse response = await store.DeleteRangeAsync(new DeleteRangeRequest { Key = Key(k) });
        if (response.Deleted != 1 && k < options.KeySpace)
        {
            throw new InvalidOperationException($"key {k} was not there to be deleted: is the prefill missing?");
        }
    }

    private async ValueTask RangeAsync(long k)
    {
        long last = options.KeySpace - options.RangeLimit;
        k = k > last && last >= 0 ? last : k;
        RangeResponse response = await store.RangeAsync(
            new RangeRequest { Key = Key(k), RangeEnd = Key(k + options.RangeLimit), Limit = options.RangeLimit });
        if (response.Items.Count != options.RangeLimit)
        {
            throw new InvalidOperationException($"the range at key {k} returned {response.Items.Count} keys: is the prefill missing?");
        }
    }
}

/// <summary>A number that workers share.</summary>
internal sealed class StrongBox
{
    private long _value;

    public long Value => Interlocked.Read(ref _value);

    public long Add(long amount) => Interlocked.Add(ref _value, amount);
}
