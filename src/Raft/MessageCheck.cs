namespace MetaStore.Raft;

/// <summary>Whether a message makes sense by itself. What fails here is dropped: a peer's mistake must not break this node's log.</summary>
internal static class MessageCheck
{
    public static bool IsWellFormed(Message message) => message.Kind switch
    {
        MessageKind.Append => HasConsecutiveEntries(message) && message.Entries.All(IsReadable),
        MessageKind.SnapshotChunk => IsReadableMembership(message.Membership),
        MessageKind.Propose => message.Entries.Count > 0 && message.Entries.All(entry => entry.Kind == EntryKind.Command),
        _ => true,
    };

    private static bool IsReadable(Entry entry) => entry.Kind != EntryKind.Membership || IsReadableMembership(entry.Data);

    private static bool IsReadableMembership(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            MembershipCodec.Decode(bytes);
            return true;
        }
        catch (MessageFormatException)
        {
            return false;
        }
    }

    /// <summary>Entries follow the one named by the message without a gap, in terms that never fall nor exceed the leader's.</summary>
    private static bool HasConsecutiveEntries(Message append)
    {
        LogIndex index = append.Index;
        Term term = append.LogTerm;
        IReadOnlyList<Entry> entries = append.Entries;
        for (int i = 0; i < entries.Count; i++)
        {
            if (entries[i].Index != index.Next || entries[i].Term < term)
            {
                return false;
            }

            index = entries[i].Index;
            term = entries[i].Term;
        }

        return term <= append.Term;
    }
}
