using MetaStore.Engine;
using MetaStore.Fuzz.Running;
using MetaStore.Net.Tests;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Fuzz.Targets;

/// <summary>A body that a server sends: what a client reads of it is an answer, or is refused, and one that was read is written as the same bytes, and read as the same. Input: kind u8, body.</summary>
internal sealed class WireAnswerTarget : FuzzTarget
{
    private const int AllocationFactor = 24;

    public override string Name => "wire-answers";

    public override IEnumerable<byte[]> Seeds()
    {
        for (int seed = 0; seed < 40; seed++)
        {
            StoreResponse answer = new Samples(seed).Response();
            yield return [(byte)ResponseCodec.KindOf(answer), .. WireBytes.Answer(answer)];
        }

        yield return [(byte)FrameKind.Error, .. WireBytes.Error(MetaStoreError.NoLeader, Outcome.NotApplied, "nobody leads")];
        yield return [(byte)FrameKind.LeaderChanged, 5, 0, 0, 0, 0, 0, 0, 0];
        var key = new KeyValue("a"u8.ToArray(), "b"u8.ToArray(), new Revision(2), new Revision(3), 2, 0);
        var watched = new WatchResponse
        {
            Header = new ResponseHeader(1, 2, new Revision(3), 4),
            Events = [new WatchEvent { Type = WatchEventType.Put, KeyValue = key, Previous = key }, new WatchEvent { Type = WatchEventType.Delete, KeyValue = key }],
        };
        yield return [(byte)FrameKind.WatchAnswer, .. Write(watched)];
        var compacted = new byte[WatchCodec.CompactedSize];
        WatchCodec.WriteCompacted(compacted, new Revision(9));
        yield return [(byte)FrameKind.WatchAnswer, .. compacted];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        var kind = (FrameKind)reader.Byte();
        ReadOnlyMemory<byte> body = reader.Rest;
        try
        {
            object answer = AllocationBudget.Hold(body.Length, AllocationFactor, () => Read(kind, body));
            byte[] written = Write(kind, answer);
            object again = Read(kind, written);
            FuzzFailure.Unless(written.Length != body.Length || body.Span.SequenceEqual(written), $"what was read is written as other bytes: {Shape.Hex(body.Span)} {Shape.Hex(written)}");
            FuzzFailure.UnlessEqual(Show(answer), Show(again), "what was read, written and read, is another");
            return $"{kind} {answer.GetType().Name} {Shape.Size(body.Length)} {(answer as SessionResponse)?.Answer.GetType().Name} {ResponseCodec.HoldsNoBytes(kind, body.Length)}";
        }
        catch (WireFormatException e)
        {
            return $"{(Enum.IsDefined(kind) ? kind : default)} {Shape.Of(e.Message)}";
        }
        catch (CompactedException e)
        {
            return $"compacted {Shape.Size(e.CompactRevision.Value)}";
        }
    }

    private static object Read(FrameKind kind, ReadOnlyMemory<byte> body) => kind switch
    {
        FrameKind.Error => NoticeCodec.ReadError(body),
        FrameKind.LeaderChanged => NoticeCodec.ReadLeaderChanged(body),
        FrameKind.WatchAnswer => WatchCodec.ReadResponse(body),
        _ => ResponseCodec.Read(kind, body),
    };

    private static byte[] Write(FrameKind kind, object answer)
    {
        switch (answer)
        {
            case MetaStoreException error:
                return WireBytes.Error(error.Error, error.Outcome, error.Message);
            case NodeId leader:
                var body = new byte[NoticeCodec.LeaderChangedSize];
                NoticeCodec.WriteLeaderChanged(body, leader);
                return body;
            case WatchResponse watched:
                return Write(watched);
            default:
                FuzzFailure.Unless(ResponseCodec.KindOf((StoreResponse)answer) == kind, $"a frame of kind {kind} is read as a {answer.GetType().Name}");
                return WireBytes.Answer((StoreResponse)answer);
        }
    }

    private static byte[] Write(WatchResponse response)
    {
        var body = new byte[WatchCodec.GetLength(response)];
        WatchCodec.WriteResponse(body, response);
        return body;
    }

    private static string Show(object answer) => answer is MetaStoreException error ? $"{error.Error} {error.Outcome} {error.Message}" : Samples.Show(answer);
}
