using System.Buffers.Binary;

namespace MetaStore.Raft;

/// <summary>
/// A membership as bytes: the body of a membership entry, and part of a snapshot's head. Part of the disk and wire format: never
/// reorder; a change is a new version. Numbers are unsigned and little-endian.
/// <code>
///   offset  length
///   0       4       version, 1
///   4       4       number of voters, V
///   8       4       number of outgoing voters, O
///   12      4       number of learners, L
///   16      8 × V   voters, rising
///           8 × O   outgoing voters, rising
///           8 × L   learners, rising
///                   attributes, to the end
/// </code>
/// </summary>
public static class MembershipCodec
{
    /// <summary>The version that is written, and the only one that is read.</summary>
    public const uint Version = 1;

    private const int HeaderBytes = 16;
    private const int IdBytes = 8;

    /// <summary>The bytes of a membership.</summary>
    public static byte[] Encode(Membership membership)
    {
        ArgumentNullException.ThrowIfNull(membership);
        int count = membership.Voters.Count + membership.Outgoing.Count + membership.Learners.Count;
        var bytes = new byte[HeaderBytes + (count * IdBytes) + membership.Attributes.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Version);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), (uint)membership.Voters.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), (uint)membership.Outgoing.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), (uint)membership.Learners.Count);
        Span<byte> rest = bytes.AsSpan(HeaderBytes);
        foreach (NodeId id in membership.Voters.Concat(membership.Outgoing).Concat(membership.Learners))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(rest, id.Value);
            rest = rest[IdBytes..];
        }

        membership.Attributes.Span.CopyTo(rest);
        return bytes;
    }

    /// <summary>Reads a membership that fills <paramref name="bytes"/>; its attributes share their memory.</summary>
    /// <exception cref="MessageFormatException">The bytes are not a membership of this version.</exception>
    public static Membership Decode(ReadOnlyMemory<byte> bytes)
    {
        ReadOnlySpan<byte> header = bytes.Span;
        if (header.Length < HeaderBytes)
        {
            throw new MessageFormatException($"A membership has at least {HeaderBytes} bytes; here are {header.Length}.");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (version != Version)
        {
            throw new MessageFormatException($"The membership is of version {version}; this program reads version {Version}.");
        }

        ReadOnlyMemory<byte> rest = bytes[HeaderBytes..];
        NodeId[] voters = ReadIds(BinaryPrimitives.ReadUInt32LittleEndian(header[4..]), ref rest);
        NodeId[] outgoing = ReadIds(BinaryPrimitives.ReadUInt32LittleEndian(header[8..]), ref rest);
        NodeId[] learners = ReadIds(BinaryPrimitives.ReadUInt32LittleEndian(header[12..]), ref rest);
        try
        {
            return new Membership(voters, outgoing, learners, rest);
        }
        catch (ArgumentException error)
        {
            throw new MessageFormatException(error.Message, error);
        }
    }

    private static NodeId[] ReadIds(uint count, ref ReadOnlyMemory<byte> rest)
    {
        // Before anything is allocated: what is said to be here must be here, and no more than a group can have.
        if (count > Membership.MembersMax || count > (uint)rest.Length / IdBytes)
        {
            throw new MessageFormatException($"{count} members do not fit into the {rest.Length} bytes that are left, or are more than {Membership.MembersMax}.");
        }

        var ids = new NodeId[count];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(rest.Span[(i * IdBytes)..]));
        }

        rest = rest[(ids.Length * IdBytes)..];
        return ids;
    }
}
