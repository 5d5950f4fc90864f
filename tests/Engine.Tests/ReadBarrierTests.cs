using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>Reads that wait for a leader's word, on a follower.</summary>
public sealed class ReadBarrierTests
{
    private const int RetryTicks = 10;

    /// <summary>The message to the leader is lost, or the leader knows nothing any more: the read must be asked again, under another name.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AReadThatWasLost_IsAskedAgain(bool isTold)
    {
        var time = new SteppedNode.ManualTime();
        var freshness = new Freshness(time, clockDriftMax: 0.1);
        RaftNode raft = Follower();
        var barrier = new ReadBarrier(origin: 9, RetryTicks, freshness);
        PendingOperation read = new PendingOperationPool(runContinuationsAsynchronously: false).Rent();
        read.Begin(PendingOperation.Barrier, 0, 0, long.MaxValue, queued: false, CancellationToken.None);
        barrier.Add(read);
        barrier.TryAsk(raft, time.GetTimestamp());
        ReadContext lost = Asked(raft);
        Assert.Equal(0, barrier.RoundsFailed);
        if (isTold)
        {
            barrier.Abort(lost);
        }

        for (int i = 0; i < RetryTicks; i++)
        {
            barrier.Tick();
        }

        time.Advance(TimeSpan.FromSeconds(3));
        barrier.TryAsk(raft, time.GetTimestamp());
        ReadContext again = Asked(raft);

        Assert.NotEqual(lost, again);
        Assert.Equal(1, barrier.RoundsFailed);
        barrier.Confirm(new ReadState(lost, new LogIndex(1)), new LogIndex(1));
        Assert.False(read.IsCompleted);
        barrier.Confirm(new ReadState(again, new LogIndex(2)), new LogIndex(1));
        Assert.False(read.IsCompleted);
        Assert.Null(freshness.Age());
        time.Advance(TimeSpan.FromSeconds(1));
        barrier.CompleteApplied(new LogIndex(2));
        Assert.True(read.IsCompleted);
        Assert.Equal(1, barrier.RoundsFailed);

        // From the asking that was answered: neither the first, which was lost, nor the answer. A second, and no more than a unit, by a clock that may be a tenth slow.
        Assert.Equal(TimeSpan.FromTicks(11_111_113), freshness.Age());
    }

    private static RaftNode Follower()
    {
        var raft = new RaftNode(new RaftOptions { Id = new NodeId(1), Voters = [new NodeId(1), new NodeId(2), new NodeId(3)], Seed = 1, ReadOrigin = 1 });
        raft.Step(new Message { Kind = MessageKind.Heartbeat, From = new NodeId(2), To = new NodeId(1), Term = new Term(1) });
        while (raft.HasReady)
        {
            raft.TakeReady();
        }

        return raft;
    }

    private static ReadContext Asked(RaftNode raft) =>
        Assert.Single(raft.TakeReady().Messages, message => message.Kind == MessageKind.ReadIndex).Context;
}
