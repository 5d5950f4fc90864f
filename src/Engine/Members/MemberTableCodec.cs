using System.Text;

namespace MetaStore.Engine.Members;

/// <summary>
/// The attributes of a membership as bytes. Part of the disk and wire format: never reorder; a change is a new version. Little-endian.
/// <code>
/// attributes := version:u8 (1)  asker:u64 request:u64 about:u64  members:u32 member*  removed:u32 id:u64*
/// member     := id:u64 directory:u64 flags:u8 name:text peerUrls:u32 text* clientUrls:u32 text*       flags: 1 promote when ready
/// text       := length:u32 UTF-8
/// </code>
/// Of the members those count that the membership names, in either half of a joint one; the row of another is left from the change that it went with.
/// </summary>
internal static class MemberTableCodec
{
    private const byte FormatVersion = 1;
    private const byte PromoteWhenReady = 1;
    private const int MemberBytesMin = 8 + 8 + 1 + 4 + 4 + 4;

    public static byte[] Encode(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed, ChangeOrigin lastChange)
    {
        int length = 1 + (3 * 8) + 4 + 4 + (removed.Count * 8);
        foreach (Member member in members)
        {
            length += 8 + 8 + 1 + LengthOf(member.Name) + LengthOf(member.PeerUrls) + LengthOf(member.ClientUrls);
        }

        var bytes = new byte[length];
        var writer = new LittleEndianWriter(bytes);
        writer.Byte(FormatVersion);
        writer.UInt64(lastChange.Asker);
        writer.UInt64(lastChange.Request);
        writer.UInt64(lastChange.Member);
        writer.UInt32((uint)members.Count);
        foreach (Member member in members)
        {
            writer.UInt64(member.Id);
            writer.UInt64(member.DirectoryId);
            writer.Byte(member.PromoteWhenReady ? PromoteWhenReady : (byte)0);
            WriteText(ref writer, member.Name);
            WriteTexts(ref writer, member.PeerUrls);
            WriteTexts(ref writer, member.ClientUrls);
        }

        writer.UInt32((uint)removed.Count);
        foreach (ulong id in removed)
        {
            writer.UInt64(id);
        }

        Invariant.Check(writer.Position == length, $"member attributes of {length} bytes were filled to {writer.Position}");
        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are not of this version.</exception>
    public static (IReadOnlyList<Member> Members, IReadOnlyList<ulong> Removed, ChangeOrigin LastChange) Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        byte version = reader.Byte();
        if (version != FormatVersion)
        {
            throw new RequestFormatException($"member attributes of version {version}; this program reads version {FormatVersion}");
        }

        var lastChange = new ChangeOrigin(reader.UInt64(), reader.UInt64(), reader.UInt64());
        var members = new Member[reader.Count(MemberBytesMin)];
        for (int i = 0; i < members.Length; i++)
        {
            ulong id = reader.UInt64();
            ulong directory = reader.UInt64();
            bool promote = reader.Flags(PromoteWhenReady) != 0;
            members[i] = new Member(id, ReadText(ref reader), ReadTexts(ref reader), ReadTexts(ref reader), PromoteWhenReady: promote, DirectoryId: directory);
        }

        var removed = new ulong[reader.Count(sizeof(ulong))];
        for (int i = 0; i < removed.Length; i++)
        {
            removed[i] = reader.UInt64();
        }

        return reader.Remaining == 0
            ? (members, removed, lastChange)
            : throw new RequestFormatException($"{reader.Remaining} bytes behind the end of member attributes");
    }

    internal static int LengthOf(string text) => sizeof(uint) + Encoding.UTF8.GetByteCount(text);

    internal static int LengthOf(IReadOnlyList<string> texts) => sizeof(uint) + texts.Sum(LengthOf);

    internal static void WriteText(ref LittleEndianWriter writer, string text) => writer.Bytes(Encoding.UTF8.GetBytes(text));

    internal static void WriteTexts(ref LittleEndianWriter writer, IReadOnlyList<string> texts)
    {
        writer.UInt32((uint)texts.Count);
        foreach (string text in texts)
        {
            WriteText(ref writer, text);
        }
    }

    internal static string ReadText(ref LittleEndianReader reader) => Encoding.UTF8.GetString(reader.Bytes().Span);

    internal static string[] ReadTexts(ref LittleEndianReader reader)
    {
        var texts = new string[reader.Count(sizeof(uint))];
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i] = ReadText(ref reader);
        }

        return texts;
    }
}
