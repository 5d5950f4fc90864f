using System.Globalization;
using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Figures;

/// <summary>The store without log, Raft and loops: what a request costs once it is committed.</summary>
internal sealed class TestStore
{
    public const int KeyBytes = 32;
    public const int ValueBytes = 256;

    private readonly HistoryCutter _cutter;
    private ulong _index;

    public TestStore()
    {
        Applier = new RequestApplier(Store, clusterId: 1, nodeId: 1) { Term = 1 };
        _cutter = new HistoryCutter(Store);
        Reader = new StoreReader(new StoreHolder(Store), clusterId: 1, nodeId: 1, () => 1);
        new Random(1).NextBytes(Value);
    }

    public MvccStore Store { get; } = new();

    public RequestApplier Applier { get; }

    public StoreReader Reader { get; }

    public byte[] Value { get; } = new byte[ValueBytes];

    /// <summary>Keys in an order of no order, which have everything in common but a number.</summary>
    public static byte[][] MakeKeys(int count, int from = 0)
    {
        byte[][] keys = [.. Enumerable.Range(from, count).Select(Key)];
        new Random(7).Shuffle(keys);
        return keys;
    }

    public static byte[] Key(int number) => Encoding.ASCII.GetBytes("registry/" + number.ToString(CultureInfo.InvariantCulture).PadLeft(KeyBytes - 9, '0'));

    public void Put(byte[] key) => Applier.Apply(new PutRequest { Key = key, Value = Value }, wantResponse: false);

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

        while (_cutter.RunSlice(4096))
        {
        }
    }
}
