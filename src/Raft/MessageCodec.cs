using System.Buffers.Binary;

namespace MetaStore.Raft;

/// <summary>
/// A message as bytes. Part of the wire format: never renumber, never reorder; a change is a new version. All numbers are
/// unsigned and little-endian; lengths and offsets are in bytes.
/// <code>
///   offset  length
///   0       1       version, 4
///   1       1       kind (MessageKind)
///   2       1       flags: bit 0 = refused, bit 1 = transfer, bit 2 = recovering; the others are zero
///   3       1       zero
///   4       4       length of the membership, M
///   8       4       number of entries, E
///   12      4       length of the snapshot piece, C
///   16      8       from
///   24      8       to
///   32      8       term
///   40      8       index
///   48      8       log term
///   56      8       commit
///   64      8       hint index
///   72      8       hint term
///   80      16      read context: origin, sequence
///   96      8       offset of the piece
///   104     8       length of the whole snapshot
///   112     8       round
///   120     8       silence
///   128     M       membership (see MembershipCodec)
///           E ×     entries  +---------+----------+---------+-----------+----------+
///                            | term, 8 | index, 8 | kind, 1 | length, 4 | data ... |
///                            +---------+----------+---------+-----------+----------+
///           C       the piece; the end of the message
/// </code>
/// The group, a checksum and the message's length are the frame's business, not this one's.
/// </summary>
public static class MessageCodec
{
    /// <summary>The version that is written, and the only one that is read.</summary>
    public const byte Version = 4;

    private const int HeaderBytes = 128;
    private const byte RejectFlag = 1;
    private const byte TransferFlag = 2;
    private const byte RecoveringFlag = 4;

    /// <summary>Bytes that <see cref="Write"/> will take.</summary>
    public static int GetLength(Message message)
    {
        ArgumentNullException.ThrowIfNull(message);
        return checked((int)(HeaderBytes + (long)message.Membership.Length + EntrySize.Of(message.Entries) + message.Chunk.Length));
    }

    /// <summary>Writes a message to the beginning of <paramref name="destination"/>, and says how many bytes it took.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than <see cref="GetLength"/>.</exception>
    public static int Write(Message message, Span<byte> destination)
    {
        int length = GetLength(message);
        if (destination.Length < length)
        {
            throw new ArgumentException($"The message takes {length} bytes, and the destination has {destination.Length}.", nameof(destination));
        }

        WriteHeader(message, destination);
        Span<byte> rest = destination[HeaderBytes..length];
        message.Membership.Span.CopyTo(rest);
        rest = rest[message.Membership.Length..];
        for (int i = 0; i < message.Entries.Count; i++)
        {
            Entry entry = message.Entries[i];
            BinaryPrimitives.WriteUInt64LittleEndian(rest, entry.Term.Value);
            BinaryPrimitives.WriteUInt64LittleEndian(rest[8..], entry.Index.Value);
            rest[16] = (byte)entry.Kind;
            BinaryPrimitives.WriteUInt32LittleEndian(rest[17..], (uint)entry.Data.Length);
            entry.Data.Span.CopyTo(rest[EntrySize.HeaderBytes..]);
            rest = rest[EntrySize.Of(entry)..];
        }

        message.Chunk.Span.CopyTo(rest);
        return length;
    }

    /// <summary>
    /// Reads a message that fills <paramref name="source"/> exactly. Data of entries and the piece of a snapshot are not copied:
    /// they share the memory of <paramref name="source"/>, which must not be used for anything else afterwards.
    /// </summary>
    /// <exception cref="MessageFormatException">The bytes are not a message of this version.</exception>
    public static Message Read(ReadOnlyMemory<byte> source)
    {
        ReadOnlySpan<byte> header = source.Span;
        if (header.Length < HeaderBytes)
        {
            throw new MessageFormatException($"A message has at least {HeaderBytes} bytes; here are {header.Length}.");
        }

        CheckHeader(header);
        ReadOnlyMemory<byte> rest = source[HeaderBytes..];
        ReadOnlyMemory<byte> membership = ReadMembership(BinaryPrimitives.ReadUInt32LittleEndian(header[4..]), ref rest);
        Entry[] entries = ReadEntries(BinaryPrimitives.ReadUInt32LittleEndian(header[8..]), ref rest);
        uint chunkLength = BinaryPrimitives.ReadUInt32LittleEndian(header[12..]);
        if (chunkLength != (uint)rest.Length)
        {
            throw new MessageFormatException($"The piece is said to have {chunkLength} bytes; {rest.Length} are left.");
        }

        return new Message
        {
            Kind = (MessageKind)header[1],
            Reject = (header[2] & RejectFlag) != 0,
            IsTransfer = (header[2] & TransferFlag) != 0,
            IsRecovering = (header[2] & RecoveringFlag) != 0,
            From = new NodeId(Number(header, 16)),
            To = new NodeId(Number(header, 24)),
            Term = new Term(Number(header, 32)),
            Index = new LogIndex(Number(header, 40)),
            LogTerm = new Term(Number(header, 48)),
            Commit = new LogIndex(Number(header, 56)),
            HintIndex = new LogIndex(Number(header, 64)),
            HintTerm = new Term(Number(header, 72)),
            Context = new ReadContext(Number(header, 80), Number(header, 88)),
            ChunkOffset = Number(header, 96),
            SnapshotLength = Number(header, 104),
            Round = Number(header, 112),
            Silence = Number(header, 120),
            Membership = membership,
            Entries = entries,
            Chunk = rest,
        };
    }

    private static ulong Number(ReadOnlySpan<byte> header, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(header[offset..]);

    private static void WriteHeader(Message message, Span<byte> header)
    {
        header[0] = Version;
        header[1] = (byte)message.Kind;
        header[2] = (byte)((message.Reject ? RejectFlag : 0) | (message.IsTransfer ? TransferFlag : 0) | (message.IsRecovering ? RecoveringFlag : 0));
        header[3] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)message.Membership.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], (uint)message.Entries.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], (uint)message.Chunk.Length);
        ReadOnlySpan<ulong> numbers =
        [
            message.From.Value,
            message.To.Value,
            message.Term.Value,
            message.Index.Value,
            message.LogTerm.Value,
            message.Commit.Value,
            message.HintIndex.Value,
            message.HintTerm.Value,
            message.Context.Origin,
            message.Context.Sequence,
            message.ChunkOffset,
            message.SnapshotLength,
            message.Round,
            message.Silence,
        ];
        for (int i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(header[(16 + (i * 8))..], numbers[i]);
        }
    }

    private static void CheckHeader(ReadOnlySpan<byte> header)
    {
        if (header[0] != Version)
        {
            throw new MessageFormatException($"The message is of version {header[0]}; this program reads version {Version}.");
        }

        if (header[1] is < (byte)MessageKind.PreVote or > (byte)MessageKind.LeaseReply)
        {
            throw new MessageFormatException($"There is no message kind {header[1]}.");
        }

        if ((header[2] & ~(RejectFlag | TransferFlag | RecoveringFlag)) != 0 || header[3] != 0)
        {
            throw new MessageFormatException($"Flags {header[2]:x2} {header[3]:x2} have bits that mean nothing in version {Version}.");
        }
    }

    private static ReadOnlyMemory<byte> ReadMembership(uint length, ref ReadOnlyMemory<byte> rest)
    {
        if (length > (uint)rest.Length)
        {
            throw new MessageFormatException($"The membership is said to have {length} bytes; {rest.Length} are left.");
        }

        ReadOnlyMemory<byte> membership = rest[..(int)length];
        rest = rest[(int)length..];
        return membership;
    }

    private static Entry[] ReadEntries(uint count, ref ReadOnlyMemory<byte> rest)
    {
        if (count > (uint)rest.Length / EntrySize.HeaderBytes)
        {
            throw new MessageFormatException($"{count} entries do not fit into the {rest.Length} bytes that are left.");
        }

        if (count == 0)
        {
            return [];
        }

        var entries = new Entry[count];
        for (int i = 0; i < entries.Length; i++)
        {
            entries[i] = ReadEntry(i, ref rest);
        }

        return entries;
    }

    private static Entry ReadEntry(int position, ref ReadOnlyMemory<byte> rest)
    {
        ReadOnlySpan<byte> bytes = rest.Span;
        if (bytes.Length < EntrySize.HeaderBytes)
        {
            throw new MessageFormatException($"Entry {position} needs {EntrySize.HeaderBytes} bytes for its header; {bytes.Length} are left.");
        }

        byte kind = bytes[16];
        if (kind is < (byte)EntryKind.Empty or > (byte)EntryKind.StateCheck)
        {
            throw new MessageFormatException($"Entry {position} is of kind {kind}, which does not exist.");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[17..]);
        if (length > (uint)(bytes.Length - EntrySize.HeaderBytes))
        {
            throw new MessageFormatException($"Entry {position} is said to have {length} bytes of data; {bytes.Length - EntrySize.HeaderBytes} are left.");
        }

        ReadOnlyMemory<byte> data = rest.Slice(EntrySize.HeaderBytes, (int)length);
        rest = rest[(EntrySize.HeaderBytes + (int)length)..];
        return new Entry(new Term(Number(bytes, 0)), new LogIndex(Number(bytes, 8)), (EntryKind)kind, data);
    }
}
