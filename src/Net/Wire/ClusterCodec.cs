using MetaStore.Engine;

namespace MetaStore.Net.Wire;

/// <summary>A request about the members: a change, a move of the leader (not 0), or else the list.</summary>
internal sealed record ClusterCall(MemberChange? Change, ulong MoveLeaderTo, bool Linearizable)
{
    public bool IsReadOnly => Change is null && MoveLeaderTo == 0;
}

/// <summary>
/// Bodies of requests about the members, and of their answers. Fixed-width little-endian; text = length u32, then UTF-8; texts = count u32,
/// then text each. Part of the wire format: never renumber.
/// <code>
///  Members        | action u8 | by action:
///    1 list       | flags u8: 1 linearizable
///    2 add        | flags u8: 1 learner, 2 witness | priority u8 | peer urls texts
///    3 remove     | id u64
///    4 update     | id u64 | flags u8: 1 a priority is given | priority u8 | peer urls texts
///    5 promote    | id u64
///    6 move leader| id u64
///    7 replace    | id u64 of a learner | id u64 of the voter whose place it takes
///  MembersAnswer  | header | member u64 (added or changed; 0 for none) | members
///  members        | count u32 | (id u64 | directory u64 | flags u8: 1 learner, 2 promote when ready, 4 witness | priority u8 | name text | peer urls texts | client urls texts)...
/// </code>
/// </summary>
internal static class ClusterCodec
{
    private const byte List = 1, Add = 2, Remove = 3, Update = 4, Promote = 5, MoveLeader = 6, Replace = 7;
    private const byte Linearizable = 1;
    private const byte Learner = 1, PromoteWhenReady = 2, Witness = 4;
    private const byte AddLearner = 1, AddWitness = 2;
    private const byte WithPriority = 1;
    private const int MemberBytesMin = (2 * sizeof(ulong)) + 2 + (3 * sizeof(uint));

    public static int GetLength(ClusterCall call) => 1 + call.Change switch
    {
        AddMember add => 2 + GetLength(add.PeerUrls),
        UpdateMember update => sizeof(ulong) + 2 + GetLength(update.PeerUrls),
        PromoteMember { Replacing: not 0 } => 2 * sizeof(ulong),
        null when call.MoveLeaderTo == 0 => 1,
        _ => sizeof(ulong),
    };

    public static void Write(ref WireWriter writer, ClusterCall call)
    {
        switch (call.Change)
        {
            case AddMember add:
                writer.WriteByte(Add);
                writer.WriteByte((byte)((add.IsLearner ? AddLearner : 0) | (add.IsWitness ? AddWitness : 0)));
                writer.WriteByte(add.Priority);
                WriteTexts(ref writer, add.PeerUrls);
                break;
            case RemoveMember remove:
                WriteOfMember(ref writer, Remove, remove.Id);
                break;
            case UpdateMember update:
                WriteOfMember(ref writer, Update, update.Id);
                writer.WriteByte(update.Priority is null ? (byte)0 : WithPriority);
                writer.WriteByte(update.Priority ?? 0);
                WriteTexts(ref writer, update.PeerUrls);
                break;
            case PromoteMember { Replacing: 0 } promote:
                WriteOfMember(ref writer, Promote, promote.Id);
                break;
            case PromoteMember replace:
                WriteOfMember(ref writer, Replace, replace.Id);
                writer.WriteUInt64(replace.Replacing);
                break;
            case null when call.MoveLeaderTo == 0:
                writer.WriteByte(List);
                writer.WriteByte(call.Linearizable ? Linearizable : (byte)0);
                break;
            case null:
                WriteOfMember(ref writer, MoveLeader, call.MoveLeaderTo);
                break;
            default:
                throw new MetaStoreException(MetaStoreError.InvalidArgument, $"{call.Change.GetType().Name} cannot be sent; use AddMember, RemoveMember, UpdateMember or PromoteMember.");
        }
    }

    /// <exception cref="WireFormatException">The bytes are no such request.</exception>
    public static ClusterCall Read(ref WireReader reader)
    {
        byte action = reader.ReadByte("members.action");
        switch (action)
        {
            case List:
                return new ClusterCall(null, 0, reader.ReadFlags(Linearizable, "members.flags") != 0);
            case Add:
                byte flags = reader.ReadFlags(AddLearner | AddWitness, "members.flags");
                byte priority = reader.ReadByte("members.priority");
                string[] urls = ReadTexts(ref reader, "members.peer urls");
                return new ClusterCall(new AddMember(urls, (flags & AddLearner) != 0, (flags & AddWitness) != 0, priority), 0, false);
            default:
                break;
        }

        ulong id = reader.ReadUInt64("members.id");
        return action switch
        {
            Remove => new ClusterCall(new RemoveMember(id), 0, false),
            Update => new ClusterCall(ReadUpdate(id, ref reader), 0, false),
            Promote => new ClusterCall(new PromoteMember(id), 0, false),
            Replace => new ClusterCall(ReadReplace(id, ref reader), 0, false),
            MoveLeader when id != 0 => new ClusterCall(null, id, false),
            _ => throw new WireFormatException($"Action {action} on member {id:x} is not one that this server knows."),
        };
    }

    public static long GetLength(IReadOnlyList<Member> members)
    {
        long length = sizeof(uint);
        foreach (Member member in members)
        {
            length += (2 * sizeof(ulong)) + 2 + WireWriter.GetLength(member.Name) + GetLength(member.PeerUrls) + GetLength(member.ClientUrls);
        }

        return length;
    }

    public static void WriteMembers(ref WireWriter writer, IReadOnlyList<Member> members)
    {
        writer.WriteUInt32((uint)members.Count);
        foreach (Member member in members)
        {
            writer.WriteUInt64(member.Id);
            writer.WriteUInt64(member.DirectoryId);
            writer.WriteByte((byte)((member.IsLearner ? Learner : 0) | (member.PromoteWhenReady ? PromoteWhenReady : 0) | (member.IsWitness ? Witness : 0)));
            writer.WriteByte(member.Priority);
            writer.WriteText(member.Name);
            WriteTexts(ref writer, member.PeerUrls);
            WriteTexts(ref writer, member.ClientUrls);
        }
    }

    /// <exception cref="WireFormatException">The bytes are no such list.</exception>
    public static Member[] ReadMembers(ref WireReader reader)
    {
        var members = new Member[reader.ReadCount(MemberBytesMin, "members")];
        for (int i = 0; i < members.Length; i++)
        {
            ulong id = reader.ReadUInt64("member.id");
            ulong directory = reader.ReadUInt64("member.directory");
            byte flags = reader.ReadFlags(Learner | PromoteWhenReady | Witness, "member.flags");
            byte priority = reader.ReadByte("member.priority");
            string name = reader.ReadText(ResponseCodec.TextBytesMax, "member.name");
            string[] peerUrls = ReadTexts(ref reader, "member.peer urls");
            string[] clientUrls = ReadTexts(ref reader, "member.client urls");
            members[i] = new Member(
                id, name, peerUrls, clientUrls, (flags & Learner) != 0, (flags & PromoteWhenReady) != 0, directory, priority, (flags & Witness) != 0);
        }

        return members;
    }

    private static UpdateMember ReadUpdate(ulong id, ref WireReader reader)
    {
        bool hasPriority = reader.ReadFlags(WithPriority, "members.flags") != 0;
        byte priority = reader.ReadByte("members.priority");
        if (!hasPriority && priority != 0)
        {
            throw new WireFormatException($"members.priority: {priority} is given, and the flag that says so is not; set flag {WithPriority}, or 0 here.");
        }

        return new UpdateMember(id, ReadTexts(ref reader, "members.peer urls"), hasPriority ? priority : null);
    }

    private static PromoteMember ReadReplace(ulong id, ref WireReader reader)
    {
        ulong replaced = reader.ReadUInt64("members.replaced");
        return replaced != 0
            ? new PromoteMember(id, replaced)
            : throw new WireFormatException($"members.replaced: 0 is no member; name the voter whose place {id:x} takes, or send action {Promote}.");
    }

    private static void WriteOfMember(ref WireWriter writer, byte action, ulong id)
    {
        writer.WriteByte(action);
        writer.WriteUInt64(id);
    }

    private static int GetLength(IReadOnlyList<string> texts) => sizeof(uint) + texts.Sum(WireWriter.GetLength);

    private static void WriteTexts(ref WireWriter writer, IReadOnlyList<string> texts)
    {
        writer.WriteUInt32((uint)texts.Count);
        foreach (string text in texts)
        {
            writer.WriteText(text);
        }
    }

    private static string[] ReadTexts(ref WireReader reader, string field)
    {
        var texts = new string[reader.ReadCount(sizeof(uint), field)];
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i] = reader.ReadText(ResponseCodec.TextBytesMax, field);
        }

        return texts;
    }
}
