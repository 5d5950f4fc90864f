namespace MetaStore.Raft.Tests.Cluster;

/// <summary>One node on its own, whose peers are the test: for rules that are best said about a single message.</summary>
internal sealed class NodeBench
{
    private readonly Queue<ulong> _writes = new();

    public NodeBench(int size, Term term = default, NodeId vote = default, ulong[]? log = null, int committedBytesMax = 1 << 20, bool quiesces = false, long lease = 0, int compactionTail = 1024, bool isRecovering = false)
    {
        Entry[] entries = [.. (log ?? []).Select((entryTerm, position) => Make(entryTerm, (ulong)position + 1))];
        Node = new RaftNode(
            new RaftOptions
            {
                Id = new NodeId(1),
                Voters = [.. Enumerable.Range(1, size).Select(id => new NodeId((ulong)id))],
                Seed = 7,
                ReadOrigin = 1,
                CommittedBytesMax = committedBytesMax,
                Quiesces = quiesces,
                Silence = lease,
                CompactionTailEntries = compactionTail,
            },
            new RaftRestart { HardState = new HardState(term, vote, LogIndex.Zero), Entries = entries, IsRecovering = isRecovering });
    }

    public RaftNode Node { get; }

    public List<Message> Sent { get; } = [];

    public List<Entry> Committed { get; } = [];

    public List<ReadState> Reads { get; } = [];

    public static Entry Make(ulong term, ulong index) => new(new Term(term), new LogIndex(index), EntryKind.Command, default);

    public static Message From(ulong peer, MessageKind kind, ulong term) =>
        new() { Kind = kind, From = new NodeId(peer), To = new NodeId(1), Term = new Term(term) };

    /// <summary>An Append of the leader of <paramref name="term"/>, node 2.</summary>
    public static Message Append(ulong term, ulong afterIndex, ulong afterTerm, params ulong[] terms) => From(2, MessageKind.Append, term) with
    {
        Index = new LogIndex(afterIndex),
        LogTerm = new Term(afterTerm),
        Entries = [.. terms.Select((entryTerm, position) => Make(entryTerm, afterIndex + (ulong)position + 1))],
    };

    /// <summary>Takes all Readys; their writes stay under way.</summary>
    public NodeBench Take()
    {
        while (Node.HasReady)
        {
            Ready ready = Node.TakeReady();
            if (ready.Append is { } append)
            {
                _writes.Enqueue(append.WriteId);
            }

            Sent.AddRange(ready.Messages);
            Committed.AddRange(ready.Committed);
            Reads.AddRange(ready.Reads);
        }

        return this;
    }

    /// <summary>Takes all Readys, and lets all writes reach the disk.</summary>
    public NodeBench Sync()
    {
        Take();
        while (_writes.TryDequeue(out ulong write))
        {
            Node.Advance(new WriteReceipt(write));
            Take();
        }

        return this;
    }

    public NodeBench Step(Message message)
    {
        Node.Step(message);
        return this;
    }

    public NodeBench Tick(int count)
    {
        for (int i = 0; i < count; i++)
        {
            Node.Tick();
        }

        return this;
    }

    /// <summary>Makes the node leader of the next term, by the votes of all others.</summary>
    public NodeBench Lead()
    {
        Node.Campaign();
        Answer(MessageKind.PreVoteReply, Node.Term.Next);
        Answer(MessageKind.VoteReply, Node.Term);
        Sent.Clear();
        return this;
    }

    private void Answer(MessageKind kind, Term term)
    {
        Sync();
        foreach (NodeId peer in Node.Membership.Voters.Skip(1))
        {
            Node.Step(From(peer.Value, kind, term.Value));
        }
    }
}
