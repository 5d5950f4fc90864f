using System.Buffers;
using Google.Protobuf;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A body of gRPC: frames of messages. However it is cut into pieces, the same messages come out and the same end; what came out, framed again, comes out again.
/// Input: cut u8, method u8, bound on a message u8 (times 16), body.
/// </summary>
internal sealed class GrpcFrameTarget : FuzzTarget
{
    private const int AllocationFactor = 64;

    public override string Name => "grpc-frames";

    public override IReadOnlyList<byte[]> Words { get; } = [[0, 0, 0, 0, 0], [1, 0, 0, 0, 1], [0, 0xff, 0xff, 0xff, 0xff], [0x0a, 0x03, 0x66, 0x6f, 0x6f]];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach ((string path, IMessage message) in SeedMessages.All)
        {
            byte[] frame = Frame([message]);
            yield return new InputWriter().Byte(frame.Length).Byte(Methods.NumberOf(path)).Byte(255).Bytes(frame).Bytes(frame).ToArray();
        }

        yield return new InputWriter().Byte(0).Byte(0).Byte(1).Bytes([0, 0, 0, 1, 0]).ToArray();
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        byte cut = reader.Byte();
        Method method = Methods.At(reader.Byte());
        int bytesMax = reader.Byte() * 16;
        ReadOnlyMemory<byte> body = reader.Rest;
        Reading whole = AllocationBudget.Hold(body.Length, AllocationFactor, () => Read(method, body, 0, bytesMax));
        FuzzFailure.UnlessEqual(whole.ToString(), Read(method, body, cut, bytesMax).ToString(), "the same bytes in pieces are read otherwise");
        CheckPrefixes(body, bytesMax);

        byte[] again = Frame(whole.Messages);
        FuzzFailure.UnlessEqual(string.Join(',', whole.Messages.Select(Text)), string.Join(',', Read(method, again, cut, int.MaxValue).Messages.Select(Text)), "what was read, written and read, is another");
        return $"{method.Path} {Shape.Size(whole.Messages.Count)} {string.Join(' ', whole.Messages.Take(2).Select(Skeleton.Of))} {whole.End}";
    }

    private static string Text(IMessage message) => message.ToByteString().ToBase64();

    private static byte[] Frame(IEnumerable<IMessage> messages)
    {
        var output = new ArrayBufferWriter<byte>();
        foreach (IMessage message in messages)
        {
            MessageFrame.Write(output, message, message.CalculateSize());
        }

        return output.WrittenSpan.ToArray();
    }

    private static Reading Read(Method method, ReadOnlyMemory<byte> body, byte cut, int bytesMax)
    {
        var messages = new List<IMessage>();
        var reader = new MessageReader(Pieces.Body(body, cut), method.Request.Parser, bytesMax, new RpcCounters());
        try
        {
            while (Pieces.Finished(reader.ReadAsync(CancellationToken.None)) is { } message)
            {
                messages.Add(message);
            }

            return new Reading(messages, "the end");
        }
        catch (RpcException e) when (e.Code is StatusCode.Internal or StatusCode.ResourceExhausted)
        {
            return new Reading(messages, $"{e.Code}: {Shape.Of(e.Message)}");
        }
    }

    /// <summary>A part of a frame is no frame, and stays where it is.</summary>
    private static void CheckPrefixes(ReadOnlyMemory<byte> body, int bytesMax)
    {
        long? whole = null;
        for (int length = Math.Min(body.Length, 10); length >= 0; length--)
        {
            var buffer = new ReadOnlySequence<byte>(body[..length]);
            try
            {
                bool isThere = MessageFrame.TryTake(ref buffer, bytesMax, out ReadOnlySequence<byte> message);
                whole ??= isThere ? message.Length : null;
                FuzzFailure.Unless(isThere || buffer.Length == length, $"{length} bytes are no frame, and {length - buffer.Length} of them are gone");
                FuzzFailure.Unless(!isThere || message.Length == whole, $"{length} bytes are a frame of {message.Length} bytes, more of them one of {whole}");
            }
            catch (RpcException)
            {
                FuzzFailure.Unless(length >= MessageFrame.PrefixBytes, $"{length} bytes are refused before the prefix is there");
            }
        }
    }

    private sealed record Reading(IReadOnlyList<IMessage> Messages, string End)
    {
        public override string ToString() => $"{string.Join(',', Messages.Select(Text))} {End}";
    }
}
