using MetaStore.Engine;

namespace MetaStore.Server.Mirroring;

/// <summary>Changes that go to the destination in one transaction.</summary>
/// <param name="operationsMax">Of one transaction.</param>
internal sealed class MirrorBatch(int operationsMax)
{
    /// <summary>Of keys and values: well below what a request may have.</summary>
    private const int BytesMax = 1 << 20;

    private readonly List<StoreRequest> _operations = [];
    private int _bytes;

    public bool IsEmpty => _operations.Count == 0;

    public int Count => _operations.Count;

    /// <summary>Whether an operation of so many bytes has room; one alone always has.</summary>
    public bool HasRoomFor(int bytes) => IsEmpty || (_operations.Count < operationsMax && _bytes + bytes <= BytesMax);

    public void Add(StoreRequest operation, int bytes)
    {
        _operations.Add(operation);
        _bytes += bytes;
    }

    public TxnRequest Take()
    {
        var request = new TxnRequest { Success = [.. _operations] };
        _operations.Clear();
        _bytes = 0;
        return request;
    }
}
