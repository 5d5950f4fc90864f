using System.Buffers.Binary;

namespace MetaStore.Raft.Tests.Cluster;

/// <summary>A state machine whose whole state is a digest of what it applied, so that two that differ are known at once.</summary>
internal sealed class StateMachine
{
    public LogIndex Applied { get; private set; }

    public ulong Digest { get; private set; }

    /// <summary>The membership as of <see cref="Applied"/>; null where no entry has named one.</summary>
    public Membership? Membership { get; private set; }

    public void Apply(Entry entry)
    {
        ClusterChecker.Require(entry.Index == Applied.Next, $"entry {entry.Index} applied after {Applied}");
        Applied = entry.Index;
        Digest = Mix(Digest, entry.Term.Value);
        if (entry.Kind == EntryKind.Membership)
        {
            Membership = MembershipCodec.Decode(entry.Data);
        }

        foreach (byte value in entry.Data.Span)
        {
            Digest = Mix(Digest, value);
        }
    }

    public void Load(StoredSnapshot snapshot)
    {
        Applied = snapshot.Metadata.Index;
        Digest = snapshot.Digest;
        Membership = snapshot.Metadata.Membership;
    }

    public static byte[] Encode(ulong digest)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, digest);
        return bytes;
    }

    public static ulong Decode(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64LittleEndian(bytes);

    private static ulong Mix(ulong digest, ulong value) => ((digest ^ value) * 0x100000001B3) + 0x9E3779B97F4A7C15;
}
