using System.Globalization;
using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Micro;

/// <summary>The store without log, Raft and loops, filled with keys in order: what a request costs once it is committed.</summary>
internal sealed class FilledStore
{
    public const int KeyBytes = 32;
    public const int ValueBytes = 256;

    private readonly MvccStore _store = new();
    private readonly RequestApplier _applier;
    private ulong _index;

    public FilledStore(int keys)
    {
        _applier = new RequestApplier(_store, clusterId: 1, nodeId: 1, new AppliedCounts());
        Reader = new StoreReader(new StoreHolder(_store), clusterId: 1, nodeId: 1, () => 1);
        Keys = [.. Enumerable.Range(0, keys).Select(Key)];
        new Random(1).NextBytes(Value);
        foreach (byte[] key in Keys)
        {
            Apply(new PutRequest { Key = key, Value = Value });
        }

        Publish();
    }

    public byte[][] Keys { get; }

    public byte[] Value { get; } = new byte[ValueBytes];

    public StoreReader Reader { get; }

    public StoreResponse? Apply(StoreRequest request) => _applier.Apply(request, wantResponse: true).Response;

    public void Publish() => _store.Publish(++_index, appliedTerm: 1);

    /// <summary>Forgets all history, so that what was put before weighs on nothing that comes.</summary>
    public void Compact()
    {
        if (_store.Revision > _store.CompactRevision)
        {
            Apply(new CompactRequest(new Revision(_store.Revision)));
            Publish();
        }

        while (_store.Cutter.RunSlice(int.MaxValue))
        {
        }
    }

    public static byte[] Key(int number) =>
        Encoding.ASCII.GetBytes("k/" + number.ToString(CultureInfo.InvariantCulture).PadLeft(KeyBytes - 2, '0'));
}

/// <summary>Keys in order, for the references.</summary>
internal sealed class KeyOrder : IComparer<byte[]>
{
    public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
}
