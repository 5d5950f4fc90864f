using System.Buffers.Binary;
using System.IO.Pipelines;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net.Peers;

/// <summary>
/// A message with its group, on its way to a peer. Body of a RaftMessage frame, whose correlation is 0; never renumber, never reorder.
/// <code>
///  0         4
///  +---------+--------------------------------------
///  | group   | message, as MessageCodec of MetaStore.Raft draws it
///  | u32     |
///  +---------+--------------------------------------
/// </code>
/// </summary>
internal readonly record struct PeerFrame(GroupId Group, Message Message, int BodyLength)
{
    private const int GroupSize = sizeof(uint);

    public static PeerFrame Of(GroupId group, Message message) => new(group, message, GroupSize + MessageCodec.GetLength(message));

    public void Write(PipeWriter output)
    {
        int length = FrameHeader.Size + BodyLength;
        Span<byte> frame = output.GetSpan(length)[..length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame[FrameHeader.Size..], Group.Value);
        int written = MessageCodec.Write(Message, frame[(FrameHeader.Size + GroupSize)..]);
        Invariant.Check(written == BodyLength - GroupSize, $"A message of {BodyLength - GroupSize} bytes was measured, {written} were written.");
        FrameHeader.Seal(frame, correlation: 0, FrameKind.RaftMessage);
        output.Advance(length);
    }

    /// <summary>Reads a body. Entries are slices of <paramref name="body"/>, which must be theirs to keep.</summary>
    /// <exception cref="WireFormatException">The body holds no message.</exception>
    public static PeerFrame Read(ReadOnlyMemory<byte> body)
    {
        if (body.Length < GroupSize)
        {
            throw new WireFormatException($"A Raft message's frame has {body.Length} body bytes; its group alone takes {GroupSize}.");
        }

        try
        {
            var group = new GroupId(BinaryPrimitives.ReadUInt32LittleEndian(body.Span));
            return new PeerFrame(group, MessageCodec.Read(body[GroupSize..]), body.Length);
        }
        catch (MessageFormatException e)
        {
            throw new WireFormatException($"A Raft message cannot be read: {e.Message}");
        }
    }
}
