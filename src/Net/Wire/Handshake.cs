using System.Buffers.Binary;
using System.Text;
using MetaStore.Raft;

namespace MetaStore.Net.Wire;

/// <summary>What the one who connects wants to be. Part of the wire format: never renumber.</summary>
internal enum ConnectionRole : byte
{
    /// <summary>Sends requests.</summary>
    Client = 1,

    /// <summary>A member of the cluster that sends Raft messages, in this direction only.</summary>
    Peer = 2,

    /// <summary>A member before its first start, that asks who belongs to the cluster.</summary>
    Discovery = 3,
}

/// <summary>How a handshake was answered. Part of the wire format: never renumber.</summary>
internal enum HandshakeResult : byte
{
    /// <summary>Welcome.</summary>
    Accepted = 0,

    /// <summary>The first bytes are not this protocol's.</summary>
    WrongMagic = 1,

    /// <summary>No version is spoken by both sides.</summary>
    VersionUnsupported = 2,

    /// <summary>The other side belongs to another cluster.</summary>
    ClusterMismatch = 3,

    /// <summary>The caller expected another node here.</summary>
    NodeMismatch = 4,

    /// <summary>The caller says it is a member, but is not one that this node knows.</summary>
    UnknownPeer = 5,

    /// <summary>This endpoint does not serve that role.</summary>
    RoleNotServed = 6,

    /// <summary>All connections this node allows are taken.</summary>
    TooManyConnections = 7,

    /// <summary>The node is stopping.</summary>
    Stopping = 8,

    /// <summary>A field is out of its range, or the checksum is wrong.</summary>
    Malformed = 9,

    /// <summary>The caller was removed from the cluster.</summary>
    Removed = 10,

    /// <summary>The caller is a member, but not on the data directory that the member had: that one is lost, with all it had promised.</summary>
    DirectoryReplaced = 11,
}

/// <summary>
/// The first bytes of a connection, from the one who opened it. The first byte is no ASCII, so it starts neither an HTTP verb nor the
/// HTTP/2 preface; nor is it TLS's 0x16. The line ends show a link that rewrites them. Never renumber, never reorder; later
/// versions of the protocol keep this frame.
/// <code>
///  0            8     10    12   13   14   16             24           32          40              48             56          60    64
///  0            8     10    12   13   14   16             24           32          40              48             56          60    64
///  +------------+-----+-----+----+----+----+--------------+------------+-----------+---------------+--------------+-----------+-----+
///  | magic      | min | max |role| 0  | 0  | capabilities | cluster id | node id   | expected node | directory id | body max  | crc |
///  | 8 bytes    | u16 | u16 | u8 | u8 | u16| u64          | u64        | u64       | u64           | u64          | u32       | u32 |
///  +------------+-----+-----+----+----+----+--------------+------------+-----------+---------------+--------------+-----------+-----+
///  magic: 8d 'M' 'S' 'E' 0d 0a 1a 0a. Cluster, node and expected node: 0 for "does not matter" (clients) or "not a member".
///  directory: names the data directory a peer runs on; 0 for others. body max: the longest frame body the sender takes.
///  crc: CRC-32C of the 60 bytes before it.
/// </code>
/// </summary>
internal readonly record struct Hello(
    ushort VersionMin, ushort VersionMax, ConnectionRole Role, ulong Capabilities, ulong ClusterId, NodeId NodeId, NodeId ExpectedNodeId, uint BodyBytesMax,
    ulong DirectoryId = 0)
{
    public const int Size = 64;

    public void Write(Span<byte> frame)
    {
        frame = frame[..Size];
        frame.Clear();
        Handshake.Magic.CopyTo(frame);
        BinaryPrimitives.WriteUInt16LittleEndian(frame[8..], VersionMin);
        BinaryPrimitives.WriteUInt16LittleEndian(frame[10..], VersionMax);
        frame[12] = (byte)Role;
        BinaryPrimitives.WriteUInt64LittleEndian(frame[16..], Capabilities);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[24..], ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[32..], NodeId.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[40..], ExpectedNodeId.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[48..], DirectoryId);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[56..], BodyBytesMax);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[60..], FrameChecksum.Compute(frame[..60]));
    }

    /// <exception cref="HandshakeRefusedException">These bytes are no handshake of this protocol.</exception>
    public static Hello Read(ReadOnlySpan<byte> frame)
    {
        frame = frame[..Size];
        Handshake.CheckMagic(frame);
        if (BinaryPrimitives.ReadUInt32LittleEndian(frame[60..]) != FrameChecksum.Compute(frame[..60]))
        {
            throw new HandshakeRefusedException(HandshakeResult.Malformed, "The handshake was damaged on its way: its checksum is wrong.");
        }

        if (frame[12] is < (byte)ConnectionRole.Client or > (byte)ConnectionRole.Discovery || frame[13] != 0 || frame[14] != 0 || frame[15] != 0)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.Malformed, $"The handshake's role is {frame[12]} (1 is a client, 2 a peer, 3 a discovery), or the zero bytes after it are not zero.");
        }

        return new Hello(
            BinaryPrimitives.ReadUInt16LittleEndian(frame[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(frame[10..]),
            (ConnectionRole)frame[12],
            BinaryPrimitives.ReadUInt64LittleEndian(frame[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(frame[24..]),
            new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(frame[32..])),
            new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(frame[40..])),
            BinaryPrimitives.ReadUInt32LittleEndian(frame[56..]),
            BinaryPrimitives.ReadUInt64LittleEndian(frame[48..]));
    }
}

/// <summary>
/// The answer to <see cref="Hello"/>. After a refusal the connection is closed. Never renumber, never reorder.
/// <code>
///  0            8      9    10        12    14    16             24           32        40          48          52            56    60
///  +------------+------+----+---------+-----+-----+--------------+------------+---------+-----------+-----------+-------------+-----+---------
///  | magic      |result| 0  | version | min | max | capabilities | cluster id | node id | leader id | body max  | text length | crc | text
///  | 8 bytes    | u8   | u8 | u16     | u16 | u16 | u64          | u64        | u64     | u64       | u32       | u32         | u32 | (UTF-8)
///  +------------+------+----+---------+-----+-----+--------------+------------+---------+-----------+-----------+-------------+-----+---------
///  version: the one chosen, 0 with a refusal. min, max: what this side speaks. capabilities: those both sides have.
///  leader: the leader this node knows, 0 for none. text: why it was refused; empty when accepted.
///  crc: CRC-32C of the 56 bytes before it (the text is not covered).
/// </code>
/// </summary>
internal readonly record struct Welcome(
    HandshakeResult Result, ushort Version, ulong Capabilities, ulong ClusterId, NodeId NodeId, NodeId LeaderId, uint BodyBytesMax, string Text)
{
    public const int Size = 60;

    /// <summary>Longest text, in bytes.</summary>
    public const int TextBytesMax = 1024;

    public int Length => Size + Encoding.UTF8.GetByteCount(Text);

    public void Write(Span<byte> frame)
    {
        frame[..Size].Clear();
        Handshake.Magic.CopyTo(frame);
        frame[8] = (byte)Result;
        BinaryPrimitives.WriteUInt16LittleEndian(frame[10..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(frame[12..], Handshake.VersionMin);
        BinaryPrimitives.WriteUInt16LittleEndian(frame[14..], Handshake.VersionMax);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[16..], Capabilities);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[24..], ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[32..], NodeId.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[40..], LeaderId.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[48..], BodyBytesMax);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[52..], (uint)Encoding.UTF8.GetBytes(Text, frame[Size..]));
        BinaryPrimitives.WriteUInt32LittleEndian(frame[56..], FrameChecksum.Compute(frame[..56]));
    }

    /// <summary>Reads the fixed part; the text, of the returned length, follows it.</summary>
    /// <exception cref="HandshakeRefusedException">These bytes are no answer of this protocol.</exception>
    public static Welcome Read(ReadOnlySpan<byte> frame, out int textLength)
    {
        frame = frame[..Size];
        Handshake.CheckMagic(frame);
        if (BinaryPrimitives.ReadUInt32LittleEndian(frame[56..]) != FrameChecksum.Compute(frame[..56]))
        {
            throw new HandshakeRefusedException(HandshakeResult.Malformed, "The answer to the handshake was damaged on its way: its checksum is wrong.");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(frame[52..]);
        if (length > TextBytesMax || frame[8] > (byte)HandshakeResult.DirectoryReplaced || frame[9] != 0)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.Malformed, $"The answer to the handshake has result {frame[8]} and {length} bytes of text; this side knows neither.");
        }

        textLength = (int)length;
        return new Welcome(
            (HandshakeResult)frame[8],
            BinaryPrimitives.ReadUInt16LittleEndian(frame[10..]),
            BinaryPrimitives.ReadUInt64LittleEndian(frame[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(frame[24..]),
            new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(frame[32..])),
            new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(frame[40..])),
            BinaryPrimitives.ReadUInt32LittleEndian(frame[48..]),
            string.Empty);
    }
}

/// <summary>A handshake that ends here, and what the other side is (or was) told.</summary>
internal sealed class HandshakeRefusedException(HandshakeResult result, string message) : Exception(message)
{
    public HandshakeResult Result { get; } = result;
}

/// <summary>What both frames of the handshake share.</summary>
internal static class Handshake
{
    /// <summary>The versions this program speaks.</summary>
    public const ushort VersionMin = 1, VersionMax = 1;

    /// <summary>Optional abilities; none is defined yet. A bit counts only where both sides set it.</summary>
    public const ulong Capabilities = 0;

    /// <summary>The smallest "body max" that leaves room for every fixed answer and error.</summary>
    public const uint BodyBytesMaxMin = 16 << 10;

    public static ReadOnlySpan<byte> Magic => [0x8d, (byte)'M', (byte)'S', (byte)'E', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <exception cref="HandshakeRefusedException">The bytes begin otherwise.</exception>
    public static void CheckMagic(ReadOnlySpan<byte> firstBytes)
    {
        int length = Math.Min(firstBytes.Length, Magic.Length);
        if (!firstBytes[..length].SequenceEqual(Magic[..length]))
        {
            throw new HandshakeRefusedException(
                HandshakeResult.WrongMagic,
                $"The connection begins with {Convert.ToHexStringLower(firstBytes[..length])}; this protocol begins with {Convert.ToHexStringLower(Magic)}.");
        }
    }

    /// <summary>The version both speak.</summary>
    /// <exception cref="HandshakeRefusedException">There is none.</exception>
    public static ushort ChooseVersion(in Hello hello)
    {
        ushort version = Math.Min(VersionMax, hello.VersionMax);
        return version >= VersionMin && version >= hello.VersionMin
            ? version
            : throw new HandshakeRefusedException(
                HandshakeResult.VersionUnsupported,
                $"The caller speaks versions {hello.VersionMin} to {hello.VersionMax} of the protocol, this node {VersionMin} to {VersionMax}.");
    }

    /// <exception cref="HandshakeRefusedException">Both name a cluster, and not the same.</exception>
    public static void CheckCluster(ulong theirs, ulong ours)
    {
        if (theirs != 0 && ours != 0 && theirs != ours)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.ClusterMismatch, $"The caller belongs to cluster {theirs:x16}, this node to cluster {ours:x16}.");
        }
    }
}
