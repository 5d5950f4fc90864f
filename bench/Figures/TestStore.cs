using System.Globalization;
using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Index;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Figures;

/// <summary>The store without log, Raft and loops: what a request costs once it is committed.</summary>
internal sealed class TestStore
{
    public const int KeyBytes = 32;
    public const int ValueBytes = 256;
    private const int PrefixBytes = 9;

    private StoreRequest[] _requests = [];
    private ulong _index;

    public TestStore()
    {
        Applier = new RequestApplier(Store, clusterId: 1, nodeId: 1, new AppliedCounts()) { Term = 1 };
        Reader = new StoreReader(new StoreHolder(Store), clusterId: 1, nodeId: 1, () => 1);
        new Random(1).NextBytes(Value);
    }

    public MvccStore Store { get; } = new();

    public RequestApplier Applier { get; }

    public StoreReader Reader { get; }

    public byte[] Value { get; } = new byte[ValueBytes];

    /// <summary>Keys in an order of no order, which have everything in common but a number. They lie in memory in this order, as if each had just come in.</summary>
    public static byte[][] MakeKeys(int count)
    {
        int[] numbers = [.. Enumerable.Range(0, count)];
        new Random(7).Shuffle(numbers);
        return [.. numbers.Select(Key)];
    }

    /// <summary>All keys of <see cref="MakeKeys"/> in their order; they stay where they lie in memory.</summary>
    public static byte[][] InOrder(byte[][] keys)
    {
        var ordered = new byte[keys.Length][];
        foreach (byte[] key in keys)
        {
            ordered[int.Parse(key.AsSpan(PrefixBytes), CultureInfo.InvariantCulture)] = key;
        }

        return ordered;
    }

    public static byte[] Key(int number) => Encoding.ASCII.GetBytes("registry/" + number.ToString(CultureInfo.InvariantCulture).PadLeft(KeyBytes - PrefixBytes, '0'));

    public void Put(byte[] key) => Applier.Apply(new PutRequest { Key = key, Value = Value }, wantResponse: false);

    /// <summary>Puts to these keys, prepared as the apply loop does it and published together.</summary>
    public void PutBatch(ReadOnlySpan<byte[]> keys)
    {
        if (_requests.Length < keys.Length)
        {
            _requests = new StoreRequest[keys.Length];
        }

        for (int i = 0; i < keys.Length; i++)
        {
            _requests[i] = new PutRequest { Key = keys[i], Value = Value };
        }

        for (int i = 0; i < keys.Length; i++)
        {
            if (keys.Length > 1 && i % IndexLookahead.Width == 0)
            {
                Applier.Expect(_requests.AsSpan(i, Math.Min(IndexLookahead.Width, keys.Length - i)));
            }

            Applier.Apply(_requests[i], wantResponse: false);
        }

        Publish();
    }

    public void Publish() => Store.Publish(++_index, 1);

    public void Fill(byte[][] keys)
    {
        for (int i = 0; i < keys.Length; i++)
        {
            Put(keys[i]);
            if (i % 100 == 99)
            {
                Publish();
            }
        }

        Publish();
    }

    /// <summary>Forgets all history, so that what was put before weighs on nothing that comes.</summary>
    public void Compact()
    {
        if (Store.Revision > Store.CompactRevision)
        {
            Store.Compact(Store.Revision);
            Publish();
        }

        while (Store.Cutter.RunSlice(4096))
        {
        }
    }
}
