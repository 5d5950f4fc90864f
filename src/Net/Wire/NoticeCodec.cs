using System.Text;
using MetaStore.Engine;
using MetaStore.Raft;

namespace MetaStore.Net.Wire;

/// <summary>Bodies of the small frames: errors and what a server says unasked. Drawn on <see cref="ResponseCodec"/>.</summary>
internal static class NoticeCodec
{
    /// <summary>Bytes of a LeaderChanged body.</summary>
    public const int LeaderChangedSize = sizeof(ulong);

    private const int ErrorFixedSize = sizeof(ushort) + 2;

    public static int GetErrorLength(string message) => ErrorFixedSize + WireWriter.GetLength(message);

    public static void WriteError(Span<byte> body, MetaStoreError error, Outcome outcome, string message)
    {
        var writer = new WireWriter(body);
        writer.WriteUInt16((ushort)error);
        writer.WriteByte((byte)outcome);
        writer.WriteByte(0);
        writer.WriteText(message);
        writer.End();
    }

    /// <summary>Reads an error. A number this side does not know yet is kept as it is; the message says what it means.</summary>
    /// <exception cref="WireFormatException">The body is not an error.</exception>
    public static MetaStoreException ReadError(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        var error = (MetaStoreError)reader.ReadUInt16("error.error");
        var outcome = (Outcome)reader.ReadChoice((byte)Outcome.Unknown, "error.outcome");
        reader.ReadFlags(known: 0, "error.zero");
        string message = reader.ReadText(ResponseCodec.TextBytesMax, "error.message");
        reader.End();
        return new MetaStoreException(error, message, outcome);
    }

    public static void WriteLeaderChanged(Span<byte> body, NodeId leader)
    {
        var writer = new WireWriter(body);
        writer.WriteUInt64(leader.Value);
        writer.End();
    }

    /// <exception cref="WireFormatException">The body is not a LeaderChanged.</exception>
    public static NodeId ReadLeaderChanged(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        var leader = new NodeId(reader.ReadUInt64("leader"));
        reader.End();
        return leader;
    }

    /// <summary>Cuts a text to what a reader takes, at a character's boundary.</summary>
    public static string Shorten(string text)
    {
        if (Encoding.UTF8.GetByteCount(text) <= ResponseCodec.TextBytesMax)
        {
            return text;
        }

        int length = ResponseCodec.TextBytesMax / 4; // no UTF-16 unit becomes more than 3 bytes
        return text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
    }
}
