using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Leases;

/// <summary>A question about a lease, as a caller of this node puts it. It never goes into the log.</summary>
internal sealed record LeaseAskRequest(LeaseQuestion Question, long Id, bool WithKeys = false) : StoreRequest;

/// <summary>A question about a lease on its way: of a caller of this node, or one of a batch of another member's.</summary>
internal sealed class LeaseAsk
{
    private LeaseAsk(LeaseQuestion question, long id, PendingOperation? caller, RemoteBatch? batch, int position)
    {
        Question = question;
        Id = id;
        Caller = caller;
        Batch = batch;
        Position = position;
    }

    public LeaseQuestion Question { get; }

    public long Id { get; }

    /// <summary>Who waits on this node; null where another member asks.</summary>
    public PendingOperation? Caller { get; }

    public RemoteBatch? Batch { get; }

    /// <summary>Where in the batch.</summary>
    public int Position { get; }

    public static LeaseAsk Of(PendingOperation caller)
    {
        var request = (LeaseAskRequest)caller.Request;
        return new LeaseAsk(request.Question, request.Id, caller, null, 0);
    }

    public static IEnumerable<LeaseAsk> Of(NodeId from, ulong batch, (LeaseQuestion Question, long Id)[] questions, int ticksLeft)
    {
        var whole = new RemoteBatch(from, batch, questions.Length) { TicksLeft = ticksLeft };
        for (int i = 0; i < questions.Length; i++)
        {
            yield return new LeaseAsk(questions[i].Question, questions[i].Id, null, whole, i);
        }
    }

    /// <summary>Questions of another member, which are answered together.</summary>
    internal sealed class RemoteBatch(NodeId from, ulong id, int questions)
    {
        public NodeId From { get; } = from;

        public ulong Id { get; } = id;

        public LeaseFacts[] Answers { get; } = new LeaseFacts[questions];

        public int Open { get; set; } = questions;

        /// <summary>When nobody waits for it any more: whoever asked has asked again.</summary>
        public int TicksLeft { get; set; }
    }
}
