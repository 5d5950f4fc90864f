namespace MetaStore.Raft;

/// <summary>Collects what the next <see cref="Ready"/> brings, until it is taken.</summary>
internal sealed class Outbox
{
    private List<Message> _messages = [];
    private List<ReadState> _reads = [];
    private List<ReadContext> _abortedReads = [];
    private List<NodeId> _snapshotsToSend = [];
    private List<Message> _snapshotTraffic = [];

    /// <summary>Messages that may leave at once.</summary>
    public List<Message> Messages => _messages;

    public bool IsEmpty =>
        _messages.Count == 0 && _reads.Count == 0 && _abortedReads.Count == 0 && _snapshotsToSend.Count == 0 && _snapshotTraffic.Count == 0;

    public void AnswerRead(ReadContext context, LogIndex index) => _reads.Add(new ReadState(context, index));

    public void AbortRead(ReadContext context) => _abortedReads.Add(context);

    public void AskForSnapshot(NodeId peer) => _snapshotsToSend.Add(peer);

    public void PassOnSnapshotTraffic(Message message) => _snapshotTraffic.Add(message);

    public IReadOnlyList<Message> TakeMessages() => Take(ref _messages);

    public IReadOnlyList<ReadState> TakeReads() => Take(ref _reads);

    public IReadOnlyList<ReadContext> TakeAbortedReads() => Take(ref _abortedReads);

    public IReadOnlyList<NodeId> TakeSnapshotsToSend() => Take(ref _snapshotsToSend);

    public IReadOnlyList<Message> TakeSnapshotTraffic() => Take(ref _snapshotTraffic);

    /// <summary>Hands the list to the taker and begins a new one; an empty list is kept, and a shared empty one given.</summary>
    private static IReadOnlyList<T> Take<T>(ref List<T> list)
    {
        if (list.Count == 0)
        {
            return [];
        }

        List<T> taken = list;
        list = [];
        return taken;
    }
}
