namespace MetaStore.Engine.Members;

/// <summary>What a member that does not lead asks of the leader: a change of the members, or leadership for <paramref name="MoveLeaderTo"/>.</summary>
internal sealed record ClusterRequest(MemberChange? Change, ulong MoveLeaderTo) : StoreRequest;

/// <summary>The leader's answer: done as of <paramref name="Index"/>, or why not.</summary>
internal sealed record ClusterReply(ulong Index, ulong MemberId, MetaStoreException? Error);

/// <summary>
/// Requests about the members on their way to the leader, and the answers. Part of the wire format: never renumber. Little-endian.
/// <code>
/// request := id:u64 kind:u8 fields        kind: 1 add, 2 remove, 3 update, 4 promote, 5 publish, 6 move the leader, 7 replace
///   add     := flags:u8 (1 learner, 2 witness) priority:u8 peerUrls:u32 text*
///   update  := member:u64 flags:u8 (1 a priority is given) priority:u8 peerUrls:u32 text*
///   publish := member:u64 directory:u64 name:text clientUrls:u32 text*
///   replace := member:u64 replaced:u64
///   others  := member:u64
/// reply   := id:u64 error:u16 (0: none) outcome:u8 index:u64 member:u64 message:text
/// </code>
/// </summary>
internal static class ForwardCodec
{
    private const byte Add = 1, Remove = 2, Update = 3, Promote = 4, Publish = 5, MoveLeader = 6, Replace = 7;
    private const byte Learner = 1, Witness = 2;
    private const byte WithPriority = 1;

    public static byte[] EncodeRequest(ulong id, ClusterRequest request)
    {
        var bytes = new byte[sizeof(ulong) + 1 + LengthOf(request)];
        var writer = new LittleEndianWriter(bytes);
        writer.UInt64(id);
        switch (request.Change)
        {
            case AddMember add:
                writer.Byte(Add);
                writer.Byte((byte)((add.IsLearner ? Learner : 0) | (add.IsWitness ? Witness : 0)));
                writer.Byte(add.Priority);
                MemberTableCodec.WriteTexts(ref writer, add.PeerUrls);
                break;
            case RemoveMember remove:
                WriteMember(ref writer, Remove, remove.Id);
                break;
            case UpdateMember update:
                WriteMember(ref writer, Update, update.Id);
                writer.Byte(update.Priority is null ? (byte)0 : WithPriority);
                writer.Byte(update.Priority ?? 0);
                MemberTableCodec.WriteTexts(ref writer, update.PeerUrls);
                break;
            case PromoteMember { Replacing: 0 } promote:
                WriteMember(ref writer, Promote, promote.Id);
                break;
            case PromoteMember replace:
                WriteMember(ref writer, Replace, replace.Id);
                writer.UInt64(replace.Replacing);
                break;
            case PublishMember publish:
                WriteMember(ref writer, Publish, publish.Id);
                writer.UInt64(publish.DirectoryId);
                MemberTableCodec.WriteText(ref writer, publish.Name);
                MemberTableCodec.WriteTexts(ref writer, publish.ClientUrls);
                break;
            default:
                WriteMember(ref writer, MoveLeader, request.MoveLeaderTo);
                break;
        }

        Invariant.Check(writer.Position == bytes.Length, $"a forwarded request of {bytes.Length} bytes was filled to {writer.Position}");
        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are no such request.</exception>
    public static (ulong Id, ClusterRequest Request) DecodeRequest(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        ulong id = reader.UInt64();
        byte kind = reader.Byte();
        if (kind == Add)
        {
            byte flags = reader.Flags(Learner | Witness);
            byte priority = reader.Byte();
            string[] urls = MemberTableCodec.ReadTexts(ref reader);
            return (id, new ClusterRequest(new AddMember(urls, (flags & Learner) != 0, (flags & Witness) != 0, priority), 0));
        }

        ulong member = reader.UInt64();
        return (id, kind switch
        {
            Remove => new ClusterRequest(new RemoveMember(member), 0),
            Update => new ClusterRequest(ReadUpdate(member, ref reader), 0),
            Promote => new ClusterRequest(new PromoteMember(member), 0),
            Replace => new ClusterRequest(new PromoteMember(member, reader.UInt64()), 0),
            Publish => new ClusterRequest(ReadPublish(member, ref reader), 0),
            MoveLeader => new ClusterRequest(null, member),
            _ => throw new RequestFormatException($"forwarded request of kind {kind}, which does not exist"),
        });
    }

    public static byte[] EncodeReply(ulong id, ClusterReply reply)
    {
        string message = reply.Error?.Message ?? string.Empty;
        var bytes = new byte[8 + 2 + 1 + 8 + 8 + MemberTableCodec.LengthOf(message)];
        var writer = new LittleEndianWriter(bytes);
        writer.UInt64(id);
        ushort error = reply.Error is null ? (ushort)0 : (ushort)reply.Error.Error;
        writer.Byte((byte)error);
        writer.Byte((byte)(error >> 8));
        writer.Byte((byte)(reply.Error?.Outcome ?? Outcome.NotApplied));
        writer.UInt64(reply.Index);
        writer.UInt64(reply.MemberId);
        MemberTableCodec.WriteText(ref writer, message);
        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are no such answer.</exception>
    public static (ulong Id, ClusterReply Reply) DecodeReply(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        ulong id = reader.UInt64();
        int error = reader.Byte() | (reader.Byte() << 8);
        var outcome = (Outcome)reader.Byte();
        ulong index = reader.UInt64();
        ulong member = reader.UInt64();
        string message = MemberTableCodec.ReadText(ref reader);
        return (id, new ClusterReply(index, member, error == 0 ? null : new MetaStoreException((MetaStoreError)error, message, outcome)));
    }

    private static UpdateMember ReadUpdate(ulong member, ref LittleEndianReader reader)
    {
        bool hasPriority = reader.Flags(WithPriority) != 0;
        byte priority = reader.Byte();
        return new UpdateMember(member, MemberTableCodec.ReadTexts(ref reader), hasPriority ? priority : null);
    }

    private static PublishMember ReadPublish(ulong member, ref LittleEndianReader reader)
    {
        ulong directory = reader.UInt64();
        string name = MemberTableCodec.ReadText(ref reader);
        return new PublishMember(member, name, MemberTableCodec.ReadTexts(ref reader), directory);
    }

    private static int LengthOf(ClusterRequest request) => request.Change switch
    {
        AddMember add => 2 + MemberTableCodec.LengthOf(add.PeerUrls),
        UpdateMember update => sizeof(ulong) + 2 + MemberTableCodec.LengthOf(update.PeerUrls),
        PublishMember publish => (2 * sizeof(ulong)) + MemberTableCodec.LengthOf(publish.Name) + MemberTableCodec.LengthOf(publish.ClientUrls),
        PromoteMember { Replacing: not 0 } => 2 * sizeof(ulong),
        _ => sizeof(ulong),
    };

    private static void WriteMember(ref LittleEndianWriter writer, byte kind, ulong member)
    {
        writer.Byte(kind);
        writer.UInt64(member);
    }
}
