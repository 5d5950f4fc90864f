using System.Buffers;
using MetaStore.Fuzz.Running;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// What a connection of the binary protocol receives: however it is cut into pieces, the same frames come out and the same end. Input: flags u8 (1: lengths and checksums are mended), cut u8, bytes.
/// </summary>
internal sealed class WireFrameTarget : FuzzTarget
{
    private const int BodyBytesMax = 600;
    private const int OperationsMax = 64;
    private const int AllocationFactor = 32;

    public override string Name => "wire-frames";

    public override IEnumerable<byte[]> Seeds()
    {
        ulong correlation = 0;
        foreach ((FrameKind kind, byte[] body) in WireBytes.SampleRequests())
        {
            byte[] frame = WireBytes.Frame(kind, ++correlation, body);
            yield return [1, 0, .. frame];
            yield return [0, 7, .. frame, .. frame];
        }

        yield return [1, 3, .. WireBytes.Frame(FrameKind.Put, 1, new byte[BodyBytesMax + 1]), .. WireBytes.Frame(FrameKind.Ping, 2, new byte[4])];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        bool isMended = (reader.Byte() & 1) != 0;
        byte cut = reader.Byte();
        ReadOnlyMemory<byte> bytes = isMended ? WireBytes.Mend(reader.Rest.Span) : reader.Rest;
        string whole = AllocationBudget.Hold(bytes.Length, AllocationFactor, () => Split(bytes, cut: 0));
        FuzzFailure.UnlessEqual(whole, Split(bytes, cut), "the same bytes in pieces are other frames");
        FuzzFailure.UnlessEqual(whole, SplitAsTheyCome(bytes, 1 + (cut & 15)), "the same bytes, as they come, are other frames");
        return whole;
    }

    private static string Split(ReadOnlyMemory<byte> bytes, byte cut)
    {
        var told = new List<string>();
        ReadOnlySequence<byte> buffer = Pieces.Cut(bytes, cut);
        Next(new FrameSplitter(BodyBytesMax), ref buffer, told);
        return string.Join(' ', told);
    }

    /// <summary>Each time some more is there, as a connection finds it: what was not consumed is looked at again.</summary>
    private static string SplitAsTheyCome(ReadOnlyMemory<byte> bytes, int step)
    {
        var told = new List<string>();
        var splitter = new FrameSplitter(BodyBytesMax);
        long consumed = 0;
        for (int there = 0; ;)
        {
            there = Math.Min(there + step, bytes.Length);
            var buffer = new ReadOnlySequence<byte>(bytes[(int)consumed..there]);
            bool goesOn = Next(splitter, ref buffer, told);
            consumed = there - buffer.Length;
            if (!goesOn || there == bytes.Length)
            {
                return string.Join(' ', told);
            }
        }
    }

    /// <summary>False where the connection ends.</summary>
    private static bool Next(FrameSplitter splitter, ref ReadOnlySequence<byte> buffer, List<string> told)
    {
        try
        {
            while (true)
            {
                FrameFound found = splitter.Next(ref buffer, out FrameHeader header, out ReadOnlySequence<byte> body);
                if (found == FrameFound.Incomplete)
                {
                    return true;
                }

                told.Add(found == FrameFound.TooLong ? "too long" : Tell(header, body));
            }
        }
        catch (WireFormatException e)
        {
            told.Add(Shape.Of(e.Message));
            return false;
        }
    }

    private static string Tell(in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        FuzzFailure.Unless(body.Length == header.BodyLength, $"a body of {header.BodyLength} bytes comes out with {body.Length}");
        if (!WireBytes.Requests.Contains(header.Kind))
        {
            return $"{(byte)header.Kind & 0xe0}";
        }

        try
        {
            object? request = RequestCodec.Read(header.Kind, body.ToArray(), OperationsMax, out _);
            return $"{header.Kind} {request?.GetType().Name}";
        }
        catch (WireFormatException e)
        {
            return $"{header.Kind} {e.Error}";
        }
    }
}
