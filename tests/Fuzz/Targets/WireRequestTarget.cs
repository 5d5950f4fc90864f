using MetaStore.Engine;
using MetaStore.Fuzz.Running;
using MetaStore.Net.Tests;
using MetaStore.Net.Wire;

namespace MetaStore.Fuzz.Targets;

/// <summary>A body of a request of the binary protocol: it is one or it is refused, and one that was read is written as the same bytes (or fewer, where fields with nothing in them were sent) and read as the same. Input: kind u8, body.</summary>
internal sealed class WireRequestTarget : FuzzTarget
{
    private const int OperationsMax = 64;

    /// <summary>The smallest comparison takes 22 bytes, and becomes an object of about 100.</summary>
    private const int AllocationFactor = 24;

    public override string Name => "wire-requests";

    public override IEnumerable<byte[]> Seeds()
    {
        foreach ((FrameKind kind, byte[] body) in WireBytes.SampleRequests())
        {
            yield return [(byte)kind, .. body];
        }

        var watch = new WatchRequest { Key = "a"u8.ToArray(), RangeEnd = "b"u8.ToArray(), PreviousValue = true, Predicates = [new WatchPredicate(WatchTarget.Value, WatchRelation.Contains, "x"u8.ToArray())] };
        yield return [(byte)FrameKind.Watch, .. WireBytes.Watch(watch, 65536)];
        yield return [(byte)FrameKind.WatchCredit, 0, 1, 0, 0];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        var kind = (FrameKind)reader.Byte();
        ReadOnlyMemory<byte> body = reader.Rest;
        try
        {
            (object? request, uint number) = AllocationBudget.Hold(body.Length, AllocationFactor, () => Read(kind, body));
            byte[] written = Write(kind, request, number);
            (object? again, uint numberAgain) = Read(kind, written);
            FuzzFailure.Unless(written.Length != body.Length || body.Span.SequenceEqual(written), $"what was read is written as other bytes: {Shape.Hex(body.Span)} {Shape.Hex(written)}");
            FuzzFailure.UnlessEqual($"{number} {Samples.Show(request)}", $"{numberAgain} {Samples.Show(again)}", "what was read, written and read, is another");
            return $"{kind} {Sketch(request)}";
        }
        catch (WireFormatException e)
        {
            return $"{(Enum.IsDefined(kind) ? kind : default)} {e.Error} {Shape.Of(e.Message)}";
        }
    }

    private static (object? Request, uint Number) Read(FrameKind kind, ReadOnlyMemory<byte> body)
    {
        uint number;
        object? request;
        switch (kind)
        {
            case FrameKind.Watch:
                request = WatchCodec.ReadRequest(body, out number);
                return (request, number);
            case FrameKind.WatchCredit:
                return (null, WatchCodec.ReadCredit(body));
            default:
                request = RequestCodec.Read(kind, body, OperationsMax, out number);
                return (request, number);
        }
    }

    private static byte[] Write(FrameKind kind, object? request, uint number)
    {
        switch (kind)
        {
            case FrameKind.Watch:
                return WireBytes.Watch((WatchRequest)request!, number);
            case FrameKind.WatchCredit:
                var credit = new byte[sizeof(uint)];
                WatchCodec.WriteCredit(credit, number);
                return credit;
            default:
                return WireBytes.Request(kind, request, number);
        }
    }

    private static string Sketch(object? request) => request switch
    {
        PutRequest put => $"put {put.ReturnPrevious}{put.IgnoreLease}{put.IgnoreValue} {Shape.Size(put.Key.Length)}{Shape.Size(put.Value.Length)}{put.TimeToLive > TimeSpan.Zero}",
        RangeRequest range => $"range {Enum.IsDefined(range.SortTarget)}{range.CountOnly}{range.Serializable} {Shape.Size(range.Key.Length)}{range.StalenessMax > TimeSpan.Zero}{range.MinModRevision.Value != 0}",
        DeleteRangeRequest delete => $"delete {delete.ReturnPrevious} {Shape.Size(delete.Key.Length)}",
        TxnRequest txn => $"txn {Shape.Size(txn.Compare.Count)}{string.Join(' ', txn.Success.Concat(txn.Failure).Take(3).Select(operation => operation.GetType().Name[0]))}",
        SessionRequest session => $"session {Sketch(session.Request)}",
        ClusterCall call => $"members {call.Change?.GetType().Name}",
        WatchRequest watch => $"watch {watch.Predicates.Count} {Shape.Size(watch.Key.Length)}",
        _ => request?.GetType().Name ?? "nothing",
    };
}
