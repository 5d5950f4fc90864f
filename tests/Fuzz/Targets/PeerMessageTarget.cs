using MetaStore.Fuzz.Running;
using MetaStore.Net.Peers;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// What a peer sends: a message or a membership is one, or is refused, and one that was read is written as the same bytes; and whether a message makes sense can be said of any.
/// Input: kind u8 (odd: a membership, else a message in its frame), bytes.
/// </summary>
internal sealed class PeerMessageTarget : FuzzTarget
{
    private const int GroupBytes = sizeof(uint);
    private const int AllocationFactor = 16;

    private static readonly Membership s_membership = new(
        [new NodeId(1), new NodeId(2), new NodeId(3)], [new NodeId(4)], "names"u8.ToArray(), [new(new NodeId(2), MemberTraits.Default with { Priority = 7 })]);

    public override string Name => "peer-messages";

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (MessageKind kind in Enum.GetValues<MessageKind>())
        {
            var message = new Message
            {
                Kind = kind,
                From = new NodeId(1),
                To = new NodeId(2),
                Term = new Term(5),
                Index = new LogIndex(8),
                LogTerm = new Term(4),
                Commit = new LogIndex(7),
                Entries = kind is MessageKind.Append or MessageKind.Propose
                    ? [new Entry(new Term(4), new LogIndex(9), EntryKind.Command, "one"u8.ToArray()), new Entry(new Term(5), new LogIndex(10), EntryKind.Membership, MembershipCodec.Encode(s_membership))]
                    : [],
                Membership = kind == MessageKind.SnapshotChunk ? MembershipCodec.Encode(s_membership) : default,
                Chunk = kind == MessageKind.SnapshotChunk ? "piece"u8.ToArray() : default,
            };
            yield return [0, 0, 0, 0, 0, .. Write(message)];
        }

        yield return [1, .. MembershipCodec.Encode(s_membership)];
        yield return [1, .. MembershipCodec.Encode(Membership.Empty)];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        bool isMembership = (reader.Byte() & 1) != 0;
        ReadOnlyMemory<byte> bytes = reader.Rest;
        try
        {
            return AllocationBudget.Hold(bytes.Length, AllocationFactor, () => isMembership ? ReadMembership(bytes) : ReadMessage(bytes));
        }
        catch (WireFormatException e) when (!isMembership)
        {
            return Shape.Of(e.Message);
        }
        catch (MessageFormatException e) when (isMembership)
        {
            return Shape.Of(e.Message);
        }
    }

    private static byte[] Write(Message message)
    {
        var bytes = new byte[MessageCodec.GetLength(message)];
        FuzzFailure.Unless(MessageCodec.Write(message, bytes) == bytes.Length, "a message is not as long as it was measured");
        return bytes;
    }

    private static string ReadMessage(ReadOnlyMemory<byte> bytes)
    {
        PeerFrame frame = PeerFrame.Read(bytes);
        Message message = frame.Message;
        FuzzFailure.UnlessEqual(Shape.Hex(bytes.Span[GroupBytes..]), Shape.Hex(Write(message)), "a message that was read is written otherwise");
        return $"{message.Kind} {MessageCheck.IsWellFormed(message)} {Shape.Size(message.Entries.Count)}{message.Membership.Length > 0}{message.Chunk.Length > 0} {message.Reject}";
    }

    private static string ReadMembership(ReadOnlyMemory<byte> bytes)
    {
        Membership membership = MembershipCodec.Decode(bytes);
        Membership again = MembershipCodec.Decode(MembershipCodec.Encode(membership));
        FuzzFailure.Unless(membership.Equals(again), $"a membership that was read, written and read, is another: {membership}, {again}");
        return $"membership {Shape.Size(membership.Voters.Count)}{Shape.Size(membership.Outgoing.Count)}{Shape.Size(membership.Learners.Count)}{Shape.Size(membership.Traits.Count)}{Shape.Size(membership.Attributes.Length)}";
    }
}
