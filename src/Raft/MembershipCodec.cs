using System.Buffers.Binary;

namespace MetaStore.Raft;

/// <summary>
/// A membership as bytes: the body of a membership entry, and part of a snapshot's head. Part of the disk and wire format: never
/// reorder; a change is a new version. Numbers are unsigned and little-endian.
/// <code>
///   offset  length
///   0       4       version, 2
///   4       4       number of voters, V
///   8       4       number of outgoing voters, O
///   12      4       number of learners, L
///   16      4       number of members whose traits are not the default (priority 100, no witness), T
///   20      8 × V   voters, rising
///           8 × O   outgoing voters, rising
///           8 × L   learners, rising
///           10 × T  +-----------+-------------+------------------------+  by rising id
///                   | member, 8 | priority, 1 | flags, 1: bit 0 witness|
///                   +-----------+-------------+------------------------+
///                   attributes, to the end
/// </code>
/// </summary>
public static class MembershipCodec
{
    /// <summary>The version that is written, and the only one that is read.</summary>
    public const uint Version = 2;

    private const int HeaderBytes = 20;
    private const int IdBytes = 8;
    private const int TraitsBytes = IdBytes + 2;
    private const byte WitnessFlag = 1;

    /// <summary>The bytes of a membership.</summary>
    public static byte[] Encode(Membership membership)
    {
        ArgumentNullException.ThrowIfNull(membership);
        int count = membership.Voters.Count + membership.Outgoing.Count + membership.Learners.Count;
        var bytes = new byte[HeaderBytes + (count * IdBytes) + (membership.Traits.Count * TraitsBytes) + membership.Attributes.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Version);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), (uint)membership.Voters.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), (uint)membership.Outgoing.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), (uint)membership.Learners.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(16), (uint)membership.Traits.Count);
        Span<byte> rest = bytes.AsSpan(HeaderBytes);
        foreach (NodeId id in membership.Voters.Concat(membership.Outgoing).Concat(membership.Learners))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(rest, id.Value);
            rest = rest[IdBytes..];
        }

        foreach ((NodeId id, MemberTraits traits) in membership.Traits)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(rest, id.Value);
            rest[8] = traits.Priority;
            rest[9] = traits.IsWitness ? WitnessFlag : (byte)0;
            rest = rest[TraitsBytes..];
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
        KeyValuePair<NodeId, MemberTraits>[] traits = ReadTraits(BinaryPrimitives.ReadUInt32LittleEndian(header[16..]), ref rest);
        try
        {
            return new Membership(voters, outgoing, learners, rest, traits);
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

    private static KeyValuePair<NodeId, MemberTraits>[] ReadTraits(uint count, ref ReadOnlyMemory<byte> rest)
    {
        if (count > Membership.MembersMax || count > (uint)rest.Length / TraitsBytes)
        {
            throw new MessageFormatException($"The traits of {count} members do not fit into the {rest.Length} bytes that are left, or are more than {Membership.MembersMax}.");
        }

        var members = new KeyValuePair<NodeId, MemberTraits>[count];
        for (int i = 0; i < members.Length; i++)
        {
            ReadOnlySpan<byte> bytes = rest.Span[(i * TraitsBytes)..];
            var traits = new MemberTraits(bytes[8], (bytes[9] & WitnessFlag) != 0);
            bool isCanonical = (bytes[9] & ~WitnessFlag) == 0 && traits != MemberTraits.Default;
            var id = new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            if (!isCanonical || (i > 0 && id.CompareTo(members[i - 1].Key) <= 0))
            {
                throw new MessageFormatException($"The traits of member {id} are the default, out of order, or have flags {bytes[9]:x2} that mean nothing.");
            }

            members[i] = new KeyValuePair<NodeId, MemberTraits>(id, traits);
        }

        rest = rest[(members.Length * TraitsBytes)..];
        return members;
    }
}
