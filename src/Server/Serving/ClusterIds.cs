using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using MetaStore.Raft;

namespace MetaStore.Server.Serving;

/// <summary>
/// The ids that all members of a cluster must agree on without talking to each other. They follow from the configuration alone:
/// <code>
/// text     := its UTF-8 bytes with their number in front (u32, little-endian), so that no two lists run together
/// member   := text(name) text(peer url)
/// cluster  := first 8 bytes, little-endian, of SHA-256("metastore cluster 1\n" text(token) member*), members sorted by name, as bytes
/// node     := first 8 bytes, little-endian, of SHA-256("metastore node 1\n" text(token) member)
/// </code>
/// 0 means "none" everywhere, so an id that comes out as 0 becomes 1. Both are stored in every file of the node: another token, name or
/// url makes another cluster, and its node refuses the directory. Never change this.
/// </summary>
internal static class ClusterIds
{
    public static ulong OfCluster(string token, IEnumerable<MemberAddress> members)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData("metastore cluster 1\n"u8);
        Append(hash, token);
        foreach (MemberAddress member in members.OrderBy(member => member.Name, Utf8Order.Instance))
        {
            Append(hash, member);
        }

        return Finish(hash);
    }

    public static NodeId OfNode(string token, MemberAddress member)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData("metastore node 1\n"u8);
        Append(hash, token);
        Append(hash, member);
        return new NodeId(Finish(hash));
    }

    private static void Append(IncrementalHash hash, MemberAddress member)
    {
        Append(hash, member.Name);
        Append(hash, member.PeerUrl.ToString());
    }

    private static void Append(IncrementalHash hash, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }

    private static ulong Finish(IncrementalHash hash)
    {
        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(hash.GetHashAndReset());
        return id == 0 ? 1 : id;
    }

    private sealed class Utf8Order : IComparer<string>
    {
        public static Utf8Order Instance { get; } = new();

        public int Compare(string? x, string? y) => Encoding.UTF8.GetBytes(x!).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(y!));
    }
}

/// <summary>A member as the flags name it.</summary>
internal sealed record MemberAddress(string Name, HttpUrl PeerUrl);
