using System.Runtime.CompilerServices;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>Watches one group on one node through all its lives, after each of its steps. What it learns goes to the group's invariants.</summary>
internal sealed class NodeInvariants(NodeId id, ClusterInvariants cluster, TimeProvider? leaseClock)
{
    private Promise _promise;
    private LogIndex _seenLast;
    private Term _seenLastTerm;
    private LogIndex _commit;
    private LogIndex _lastMax;
    private ulong _applied;
    private Role _role;
    private LogIndex _lost;
    private Term _lostTerm;
    private bool _isRecovering;

    /// <summary>What the node had on stable storage before it died, and may have told others.</summary>
    private readonly record struct Promise(Term Term, NodeId Vote, LogIndex Durable, Term DurableTerm);

    /// <summary>The log was damaged and repaired: it may have lost what was acknowledged, but neither term nor vote.</summary>
    public void Repaired()
    {
        _lost = Max(_lost, _promise.Durable);
        _lostTerm = _promise.DurableTerm > _lostTerm ? _promise.DurableTerm : _lostTerm;
        _promise = _promise with { Durable = LogIndex.Zero, DurableTerm = Term.Zero };
    }

    /// <summary>Everything is lost: nobody may hear of this node again.</summary>
    public void Wiped() => _promise = default;

    public void AfterStart(GroupCore core)
    {
        RaftNode raft = core.Node.Raft;
        Require(raft.IsRecovering || _lost == LogIndex.Zero, "comes back from a repair as if it had lost nothing");
        _isRecovering = raft.IsRecovering;
        bool isReplaced = IsReplacedBySnapshot(raft);
        Require(raft.Term >= _promise.Term, $"came back in term {raft.Term}; it had promised term {_promise.Term}");
        Require(
            raft.Term != _promise.Term || _promise.Vote.IsNone || raft.Vote == _promise.Vote,
            $"came back with vote {raft.Vote} in term {raft.Term}; it had voted for {_promise.Vote}");
        Require(
            raft.LastIndex >= _promise.Durable || isReplaced,
            $"came back with a log that ends at {raft.LastIndex}; it had acknowledged {_promise.Durable} of term {_promise.DurableTerm}");
        if (_promise.Durable > raft.SnapshotIndex && !isReplaced)
        {
            Require(
                raft.TermAt(_promise.Durable) == _promise.DurableTerm,
                $"came back with term {raft.TermAt(_promise.Durable)} at {_promise.Durable}; it had acknowledged term {_promise.DurableTerm}");
        }

        _seenLast = default;
        _seenLastTerm = default;
        _commit = default;
        _lastMax = default;
        _applied = 0;
        _role = Role.Follower;
        AfterStep(core);
    }

    /// <summary>
    /// The node failed when it had received a snapshot and before its log heard of it; at the start the file was there. Terms never fall along a log, so a
    /// snapshot of a higher term than the acknowledged end of the log conflicts with that end, which therefore was never committed.
    /// </summary>
    private bool IsReplacedBySnapshot(RaftNode raft) =>
        raft.LastIndex == raft.SnapshotIndex && raft.TermAt(raft.SnapshotIndex) is Term term && term > _promise.DurableTerm;

    /// <summary>A message left the node. What it promises must not be forgotten from here on, whatever happens to the node: a vote, also a candidate's own, and entries that are acknowledged.</summary>
    public void Sent(Message message, RaftNode raft)
    {
        switch (message)
        {
            case { Kind: MessageKind.VoteReply, Reject: false }:
                Votes(message.Term, message.To);
                break;
            case { Kind: MessageKind.Vote }:
                Votes(message.Term, id);
                break;
            case { Kind: MessageKind.AppendReply, Reject: false }:
                LogIndex durable = Max(raft.DurableIndex, raft.SnapshotIndex);

                // Of an earlier term: the write that it waited for is on the disk, and since that began the leader of this term has cut away what it carried. How far it went is
                // not known any more, but no further than the log ever did; and whoever was voted for in this term has been acknowledged the entry, or nobody needs it.
                durable = message.Term < raft.Term ? _lastMax : durable;
                Require(message.Index <= durable, $"acknowledges {message.Index} of term {message.Term}, and has, or had, no more than {durable} on its disk");
                Require(message.Term >= _promise.Term, $"acknowledges in term {message.Term} what it did; it had promised term {_promise.Term}");
                _promise = message.Term > _promise.Term ? _promise with { Term = message.Term, Vote = NodeId.None } : _promise;
                break;
        }
    }

    private void Votes(Term term, NodeId candidate)
    {
        Require(!_isRecovering, $"votes for {candidate} before it has caught up with what it had acknowledged");
        Require(
            _promise.Term != term || _promise.Vote.IsNone || _promise.Vote == candidate,
            $"votes for {candidate} in term {term}, where it has voted for {_promise.Vote}");
        _promise = _promise with { Term = term, Vote = candidate };
    }

    public void BeforeCrash(GroupCore core) => Remember(core.Node.Raft);

    public void AfterStep(GroupCore core)
    {
        RaftNode raft = core.Node.Raft;
        Require(raft.CommitIndex >= _commit, $"its commit index went back from {_commit} to {raft.CommitIndex}");
        Require(raft.CommitIndex <= raft.LastIndex, $"commits {raft.CommitIndex} beyond its log's end {raft.LastIndex}");
        CheckLog(raft);
        for (LogIndex index = Max(_commit, raft.SnapshotIndex).Next; index <= raft.CommitIndex; index = index.Next)
        {
            cluster.Committed(id, raft.Term, raft.EntryAt(index)!.Value);
        }

        _commit = raft.CommitIndex;
        Require(raft.Role == Role.Follower || !raft.Membership.IsWitness(id), $"is a witness, and {raft.Role} of term {raft.Term}");
        if (raft.Role == Role.Leader)
        {
            cluster.Leads(id, raft.Term, holdsLease: leaseClock is not null && raft.HoldsLeaseAt(leaseClock.GetTimestamp()));
            if (_role != Role.Leader)
            {
                cluster.CheckCompleteness(id, raft);
            }
        }

        CheckRecovery(raft);
        _role = raft.Role;
        StoreView view = core.View;
        Require(view.AppliedIndex >= _applied, $"its applied index went back from {_applied} to {view.AppliedIndex}");
        if (view.AppliedIndex != _applied)
        {
            _applied = view.AppliedIndex;
            cluster.Applied(id, view);
        }

        Remember(raft);
    }

    private void CheckRecovery(RaftNode raft)
    {
        Require(!raft.IsRecovering || raft.Role == Role.Follower, $"is {raft.Role} before it has caught up with what it had acknowledged");
        if (_isRecovering && !raft.IsRecovering)
        {
            _isRecovering = false;
            cluster.CheckRecovered(id, raft, _lost, _lostTerm);
            (_lost, _lostTerm) = (LogIndex.Zero, Term.Zero);
        }
    }

    private void Remember(RaftNode raft)
    {
        // A snapshot's file is durable before the log hears of it, and replaces a log that disagrees with it, acknowledged or not.
        LogIndex durable = Max(raft.DurableIndex, raft.SnapshotIndex);
        _lastMax = Max(_lastMax, raft.LastIndex);
        if (raft.TermAt(durable) is Term term)
        {
            _promise = _promise with { Durable = durable, DurableTerm = term };
        }
    }

    private void CheckLog(RaftNode raft)
    {
        if (raft.LastIndex == _seenLast && raft.TermAt(_seenLast) == _seenLastTerm)
        {
            return;
        }

        for (LogIndex index = raft.LastIndex; index >= raft.FirstIndex && index > LogIndex.Zero; index = new LogIndex(index.Value - 1))
        {
            CheckBody(raft, raft.EntryAt(index)!.Value);
            bool isNew = cluster.Appended(id, raft.EntryAt(index)!.Value, raft.TermAt(new LogIndex(index.Value - 1)));
            if (!isNew && index <= _seenLast)
            {
                break;
            }
        }

        _seenLast = raft.LastIndex;
        _seenLastTerm = raft.TermAt(raft.LastIndex) ?? default;
    }

    /// <summary>Whoever knows what it is holds what it should: a witness no data, everybody else all of it.</summary>
    private void CheckBody(RaftNode raft, in Entry entry)
    {
        bool hasBody = entry.Kind is EntryKind.Command or EntryKind.StateCheck;
        if (hasBody && raft.Membership.Contains(id))
        {
            Require(ClusterInvariants.IsStripped(entry) == raft.Membership.IsWitness(id), $"(witness: {raft.Membership.IsWitness(id)}) holds {entry.Data.Length} bytes at {entry.Index}");
        }
    }

    private void Require(bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] ref InvariantMessage broken)
    {
        if (!holds)
        {
            Require(holds, broken.ToString());
        }
    }

    private void Require(bool holds, string broken)
    {
        if (!holds)
        {
            throw new SimulationFailure(FailureKind.Correctness, $"node {id} {broken}");
        }
    }

    private static LogIndex Max(LogIndex left, LogIndex right) => left > right ? left : right;
}
