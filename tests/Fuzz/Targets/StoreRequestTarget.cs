using MetaStore.Engine;
using MetaStore.Engine.Leases;
using MetaStore.Fuzz.Running;
using MetaStore.Net.Tests;

namespace MetaStore.Fuzz.Targets;

/// <summary>A request as it stands in the log: it is one or it is refused, and one that was read, written and read is the same.</summary>
internal sealed class StoreRequestTarget : FuzzTarget
{
    private const int AllocationFactor = 32;

    public override string Name => "store-requests";

    public override IEnumerable<byte[]> Seeds()
    {
        for (int seed = 0; seed < 16; seed++)
        {
            yield return Write(new Samples(seed).Request());
            yield return Write(new Samples(seed).SessionRequest());
        }

        StoreRequest[] others =
        [
            new CompactRequest(new Revision(5)), new OpenSessionRequest(new SessionLimits(1, 2, 3)), new CloseSessionRequest(4), new LeaseGrantRequest(60, 7), new LeaseRevokeRequest(7),
            new ExpireLeasesRequest(2, [7, 8]), new CheckpointLeasesRequest(2, [new LeaseCheckpoint(7, 1000)]),
        ];
        foreach (StoreRequest request in others)
        {
            yield return Write(request);
        }
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        try
        {
            (StoreRequest request, int length) = AllocationBudget.Hold(input.Length, AllocationFactor, () => (StoreRequestCodec.Read(input, out int bytesRead), bytesRead));
            FuzzFailure.Unless(length > 0 && length <= input.Length, $"{length} bytes were read of {input.Length}");
            byte[] written = Write(request);
            FuzzFailure.UnlessEqual(Shape.Hex(input.Span[..length]), Shape.Hex(written), "what was read is written as other bytes");
            StoreRequest again = StoreRequestCodec.Read(written, out _);
            FuzzFailure.UnlessEqual(Samples.Show(request), Samples.Show(again), "what was read, written and read, is another");
            return $"{Sketch(request)} {Shape.Size(length)} {length == input.Length}";
        }
        catch (RequestFormatException e)
        {
            return Shape.Of(e.Message);
        }
    }

    private static byte[] Write(StoreRequest request)
    {
        var bytes = new byte[StoreRequestCodec.GetLength(request)];
        FuzzFailure.Unless(StoreRequestCodec.Write(request, bytes) == bytes.Length, "a request is not as long as it was measured");
        return bytes;
    }

    private static string Sketch(StoreRequest request) => request switch
    {
        TxnRequest txn => $"txn {Shape.Size(txn.Compare.Count)}{string.Join(' ', txn.Success.Concat(txn.Failure).Take(4).Select(Sketch))}",
        SessionRequest session => $"session {Sketch(session.Request)}",
        PutRequest put => $"put {put.TimeToLive > TimeSpan.Zero}{put.IgnoreLease}{put.IgnoreValue}",
        _ => request.GetType().Name,
    };
}
