using System.Text;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>Messages, entries and Readys as short text. An entry is index/term, with its data behind a colon.</summary>
internal static class Describe
{
    public static string Entry(Entry entry)
    {
        if (entry.Kind == EntryKind.Membership)
        {
            return $"{entry.Index}/{entry.Term}:({MembershipCodec.Decode(entry.Data)})";
        }

        string data = entry.Data.Length > 0 ? ":" + Encoding.UTF8.GetString(entry.Data.Span) : "";
        return $"{entry.Index}/{entry.Term}{data}";
    }

    public static string Entries(IReadOnlyList<Entry> entries) => "[" + string.Join(' ', entries.Select(Entry)) + "]";

    public static string Message(Message message)
    {
        string head = $"{message.From}->{message.To} {message.Kind}";
        string term = $" term={message.Term}";
        string refused = message.Reject ? " refused" : "";
        return head + message.Kind switch
        {
            MessageKind.PreVote or MessageKind.Vote => $"{term} last={message.Index}/{message.LogTerm}" + (message.IsTransfer ? " transfer" : ""),
            MessageKind.PreVoteReply or MessageKind.VoteReply => term + (message.Reject ? refused : " granted"),
            MessageKind.Append => $"{term} after={message.Index}/{message.LogTerm} commit={message.Commit} {Entries(message.Entries)}",
            MessageKind.AppendReply when message.Reject => $"{term} refused={message.Index} hint={message.HintIndex}/{message.HintTerm}",
            MessageKind.AppendReply => $"{term} match={message.Index}",
            MessageKind.Heartbeat => $"{term} commit={message.Commit}{Context(message)}",
            MessageKind.HeartbeatReply => term + Context(message),
            MessageKind.ReadIndex => Context(message),
            MessageKind.ReadIndexReply => $"{term}{Context(message)}" + (message.Reject ? refused : $" index={message.Index}"),
            MessageKind.Propose => " " + string.Join(' ', message.Entries.Select(entry => Encoding.UTF8.GetString(entry.Data.Span))),
            MessageKind.SnapshotChunk => $"{term} snapshot={message.Index}/{message.LogTerm}",
            MessageKind.SnapshotChunkReply => $"{term} snapshot={message.Index}{refused}",
            MessageKind.TimeoutNow => term,
            MessageKind.Quiesce => $"{term} last={message.Index}/{message.LogTerm} commit={message.Commit}",
            _ => " ?",
        };
    }

    public static void Ready(StringBuilder output, NodeId id, Ready ready)
    {
        if (ready.Append is { } append)
        {
            string mark = append.Snapshot is { } snapshot ? $" mark={snapshot.Index}/{snapshot.Term}" : "";
            string hard = append.HardState is { } state ? $" hard=(term={state.Term} vote={state.Vote} commit={state.Commit})" : "";
            string entries = append.Entries.Count > 0 ? " " + Entries(append.Entries) : "";
            output.Append($"{id} write {append.WriteId}:{mark}{entries}{hard}\n");
        }

        if (ready.MessagesAfterAppend.Count > 0)
        {
            output.Append($"{id} sealed: {ready.MessagesAfterAppend.Count}\n");
        }

        foreach (Message message in ready.Messages)
        {
            output.Append(Message(message)).Append('\n');
        }

        if (ready.Committed.Count > 0)
        {
            output.Append($"{id} apply: {Entries(ready.Committed)}\n");
        }

        foreach (ReadState read in ready.Reads)
        {
            output.Append($"{id} read {read.Context.Sequence} at {read.Index}\n");
        }

        foreach (ReadContext context in ready.AbortedReads)
        {
            output.Append($"{id} read {context.Sequence} aborted\n");
        }

        foreach (NodeId peer in ready.SnapshotsToSend)
        {
            output.Append($"{id} wants a snapshot sent to {peer}\n");
        }

        foreach (Message message in ready.SnapshotTraffic)
        {
            output.Append($"{id} snapshot traffic: {Message(message)}\n");
        }
    }

    private static string Context(Message message) =>
        message.Context.Equals(ReadContext.None) ? "" : $" context={message.Context.Sequence}";
}
