using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using MetaStore.Engine;

namespace MetaStore.Soak;

/// <summary>Overwrites its own share of the keys, in a random order, with values of random sizes, and knows what each must be at the end.</summary>
internal sealed class Overwriter(IMetaStore store, int first, int count, int rate)
{
    private const int ValueBytesMin = 16;
    private const int ValueBytesMax = 496; // 256 on average; all size classes in between take turns

    private readonly Random _random = new(first);
    private readonly long[] _written = new long[count]; // what each key's last value was made from; 0 before the first
    private long _puts;

    /// <summary>Puts that were acknowledged. Read from any thread.</summary>
    public long Puts => Volatile.Read(ref _puts);

    /// <summary>All keys once, then any of them until the end of the run.</summary>
    /// <param name="filled">Called once all keys are there.</param>
    /// <param name="stop">Ends the run between two puts.</param>
    public async Task RunAsync(Action filled, CancellationToken stop)
    {
        for (int i = 0; i < count; i++)
        {
            await PutAsync(i);
        }

        filled();
        long start = Stopwatch.GetTimestamp();
        for (long done = 0; !stop.IsCancellationRequested; done++)
        {
            TimeSpan early = rate == 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((double)done / rate) - Stopwatch.GetElapsedTime(start);
            if (early > TimeSpan.Zero)
            {
                await Task.Delay(early, CancellationToken.None); // The pace is what was asked for, not a wait for something.
            }

            await PutAsync(_random.Next(count));
        }
    }

    /// <summary>How many keys do not have the last value that was acknowledged.</summary>
    public async Task<int> CountWrongAsync()
    {
        int wrong = 0;
        for (int i = 0; i < count; i++)
        {
            RangeResponse response = await store.RangeAsync(new RangeRequest { Key = Key(i) });
            wrong += response.Items.Count == 1 && response.Items[0].Value.Span.SequenceEqual(Value(_written[i])) ? 0 : 1;
        }

        return wrong;
    }

    private async Task PutAsync(int i)
    {
        long made = _random.NextInt64(1, long.MaxValue);
        await store.PutAsync(new PutRequest { Key = Key(i), Value = Value(made) });
        _written[i] = made;
        Volatile.Write(ref _puts, _puts + 1);
    }

    private byte[] Key(int i) => Encoding.ASCII.GetBytes($"soak/{first + i:D27}");

    private static byte[] Value(long made)
    {
        var value = new byte[ValueBytesMin + (int)(made % (ValueBytesMax - ValueBytesMin + 1))];
        new Random((int)(made & int.MaxValue)).NextBytes(value);
        BinaryPrimitives.WriteInt64LittleEndian(value, made);
        return value;
    }
}
