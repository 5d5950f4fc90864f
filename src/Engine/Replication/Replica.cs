using System.Collections.Concurrent;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Members;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Replication;

/// <summary>
/// The node loop of one group: owns the <see cref="RaftNode"/>, and turns everything that arrives (messages, proposals, reads,
/// receipts of the log, news of the other loops, time) into calls on it, and its <see cref="Ready"/> into effects. The only place
/// where Raft, log, store and network meet.
/// </summary>
internal sealed class Replica : ILoop, ILogWriteObserver
{
    /// <summary>Peer messages that may wait; beyond it they are dropped, which Raft copes with.</summary>
    private const int MessagesMax = 8192;

    /// <summary>Peer messages that another thread may see to in this loop's place.</summary>
    private const int BriefMessagesMax = 64;

    /// <summary>Tell the rounds of the lease desk and of the members desk from those of the read barrier.</summary>
    private const ulong LeaseRounds = 0x1EA5_E5, MemberRounds = 0x3E3B_E5;

    private readonly ConcurrentQueue<Message> _messages = new();
    private readonly ConcurrentQueue<PendingOperation> _operations = new();
    private readonly ConcurrentQueue<PendingOperation> _reads = new();
    private readonly ConcurrentQueue<SnapshotEvent> _snapshotEvents = new();
    private readonly ConcurrentQueue<NodeId> _unreachable = new();
    private readonly ConcurrentQueue<PendingOperation> _clusterRequests = new();
    private readonly ConcurrentQueue<PendingOperation> _leaseQuestions = new();
    private readonly LeaseNewsQueue _leaseNews = new();
    private readonly ConcurrentQueue<StateCheck> _statesReached = new();
    private readonly StateTally _tally;
    private StateCheck? _checkDue;
    private readonly RaftNode _raft;
    private readonly ReplicaParts _parts;
    private readonly ReplicaClock _clock;
    private readonly Proposer _proposer;
    private readonly ReadBarrier _barrier;
    private readonly MembershipDesk _desk;
    private readonly LeaseDesk _leases;
    private readonly Action<LeaseNews> _hearLeaseNews;
    private readonly AutoCompactor _compactor;
    private readonly RemovalWatch _removal;
    private readonly ReplicaStatus _status = new();
    private readonly Slumber _slumber;
    private Membership? _told;
    private Membership? _toldApplied;
    private ulong _writeHandedOut;
    private ulong _writeDurable;
    private ulong _writeSeen;
    private LogIndex _appliedSeen;
    private ulong _markDurable;
    private ulong _markSeen;
    private bool _abandoned;
    private bool _isRecovering;
    private long _heartbeatsLate;
    private volatile bool _readsAwaitApply;
    private volatile int _companyAwaited;

    public Replica(RaftNode raft, ReplicaParts parts)
    {
        _raft = raft;
        _parts = parts;
        _clock = new ReplicaClock(parts.Time, parts.TickLength);
        _proposer = new Proposer(parts.ProposerOptions, parts.Time, parts.ProposerId);
        Freshness = new Freshness(parts.Time, parts.ClockDrift);
        _barrier = new ReadBarrier(parts.ReadOrigin, parts.ReadRetryTicks, Freshness);
        _desk = new MembershipDesk(parts.Self, parts.Rules, parts.ReadRetryTicks, SendPayload, id => _parts.MembersAnswer(id), parts.ReadOrigin ^ MemberRounds, parts.ProposerId);
        _leases = new LeaseDesk(
            new Lessor(parts.ClockDrift),
            new LeaseClock(parts.Time, 2 * parts.TickLength),
            parts.ReadOrigin ^ LeaseRounds,
            parts.ReadRetryTicks,
            SendPayload,
            (question, facts) => _parts.LeaseAnswer(question, facts));
        _hearLeaseNews = news => _leases.Hear(news);
        _compactor = new AutoCompactor(parts.AutoCompaction, parts.Time);
        _tally = new StateTally(parts.StateAskTicks);
        _removal = new RemovalWatch(raft.Id, parts.ReadRetryTicks, parts.Failure);
        _slumber = new Slumber(parts.Group, raft, _clock, parts.Sleep);
        _removal.Committed(parts.Stores.Current.View.Membership);
        _isRecovering = raft.IsRecovering;
        PublishStatus();
    }

    /// <summary>Raised on the node loop when the known leader has changed.</summary>
    public event Action? LeaderChanged;

    /// <summary>Raised on the leader's node loop when two voters were in different states at an index.</summary>
    public event Action<ulong>? StatesDiffer;

    /// <summary>Raised on the node loop when a recovering member has caught up.</summary>
    public event Action? HasRecovered;

    public string Name => "node";

    /// <summary>How old this node's state may be.</summary>
    public Freshness Freshness { get; }

    /// <summary>What other threads may know of the loop's state.</summary>
    public ReplicaStatus Status => _status;

    /// <summary>Writes that were given up: nobody took them, or nothing was heard of them, in time. Any thread.</summary>
    public long WritesFailed => _proposer.Failed;

    /// <summary>Rounds of reads that came to nothing and were asked again. Any thread.</summary>
    public long ReadRoundsFailed => _barrier.RoundsFailed;

    /// <summary>Heartbeats to the other members that came a whole interval too late, or later still, while this one led. Any thread.</summary>
    public long HeartbeatsLate => Volatile.Read(ref _heartbeatsLate);

    /// <summary>What came of the promotions that somebody asked for, while this member led. Any thread.</summary>
    public PromotionCounts Promotions => _desk.Promotions;

    /// <summary>Leases renewed by this member while it led. Any thread.</summary>
    public long LeasesRenewed => _leases.Renewed;

    /// <summary>For the simulator's invariants; only while the loop does not run.</summary>
    internal RaftNode Raft => _raft;

    /// <summary>Nothing here wants time to pass. For the simulator; only while the loop does not run.</summary>
    internal bool IsAsleep => _slumber.IsAsleep;

    public long NextWake => _slumber.IsAsleep || _parts.Failure.IsFailed
        ? long.MaxValue
        : Math.Min(_clock.NextTick, CommitsAlone ? long.MaxValue : _proposer.NextDeadline(AppendUnderWay));

    /// <summary>It is the log's, the peers' and the applier's work that takes long, unless messages have piled up.</summary>
    public bool IsBrief => _messages.Count <= BriefMessagesMax;

    public bool EndsSoonAfterSignals => true;

    private bool HasRequests => !_operations.IsEmpty || !_reads.IsEmpty || !_clusterRequests.IsEmpty || !_leaseQuestions.IsEmpty;

    // Only a leader's own appends make company worth waiting for: a follower hands on at once.
    private bool AppendUnderWay => _raft.Role == Role.Leader && _writeHandedOut > Volatile.Read(ref _writeDurable);

    // Nobody else's disk could be ahead of the own one: what is handed out while that is busy is not committed any sooner.
    private bool CommitsAlone => _raft.Membership is { IsJoint: false, Voters.Count: 1 };

    /// <param name="message">What came.</param>
    /// <param name="mayRun">The caller holds no lock, and its thread may step this loop.</param>
    public void Receive(Message message, bool mayRun = false)
    {
        if (_messages.Count >= MessagesMax)
        {
            return;
        }

        _messages.Enqueue(message);
        if (mayRun)
        {
            _parts.Signal.SetOrRun();
        }
        else
        {
            _parts.Signal.Set();
        }
    }

    public void ReportUnreachable(NodeId peer)
    {
        _unreachable.Enqueue(peer);
        _parts.Signal.Set();
    }

    public void Submit(PendingOperation operation)
    {
        _operations.Enqueue(operation);

        if (_operations.Count >= _companyAwaited)
        {
            _parts.Signal.SetOrRun();
        }
    }

    public void SubmitRead(PendingOperation read)
    {
        _reads.Enqueue(read);
        _parts.Signal.SetOrRun();
    }

    public void SubmitClusterRequest(PendingOperation request)
    {
        _clusterRequests.Enqueue(request);
        _parts.Signal.Set();
    }

    public void SubmitLeaseQuestion(PendingOperation question)
    {
        _leaseQuestions.Enqueue(question);
        _parts.Signal.SetOrRun();
    }

    /// <summary>A lease changes, in what is published next. Told with the turn after that: it is in no hurry, unless <see cref="Applied"/> follows.</summary>
    public void Report(LeaseNews news) => _leaseNews.Add(news);

    public void ReportRefused(NodeId peer, MemberRefusal refusal, string reason)
    {
        _removal.HearFrom(peer, refusal, reason);
        _parts.Signal.Set();
    }

    /// <summary>The apply loop has published; the node loop needs waking only where a read waits for that.</summary>
    public void Applied()
    {
        if (_readsAwaitApply)
        {
            _parts.Signal.Set();
        }
    }

    /// <summary>The apply loop has reached an index at which the members compare their states. Told with the next turn: it is in no hurry.</summary>
    public void Report(StateCheck state) => _statesReached.Enqueue(state);

    public void Report(SnapshotEvent snapshotEvent)
    {
        _snapshotEvents.Enqueue(snapshotEvent);
        _parts.Signal.Set();
    }

    public void Wake() => _parts.Signal.Set();

    /// <summary>Wakes the group, should it sleep: its leader's node has fallen silent.</summary>
    public void Rouse()
    {
        _slumber.Rouse();
        _parts.Signal.Set();
    }

    void ILogWriteObserver.OnDurable(LogWrite write)
    {
        Volatile.Write(ref _writeDurable, write.WriteId);
        if (write.Mark is LogSnapshotMark mark)
        {
            Volatile.Write(ref _markDurable, mark.Index);
        }

        _parts.Signal.Set();
    }

    void ILogWriteObserver.OnFailed(Exception cause) => _parts.Failure.Fail("log", cause);

    public bool RunOnce()
    {
        Interlocked.Exchange(ref _companyAwaited, 0);
        if (_parts.Failure.IsFailed)
        {
            Abandon(MetaStoreError.NodeFailed, _parts.Failure.Cause!.Message);
            return false;
        }

        _slumber.Begin(HasRequests);
        TellTransport();
        TellStates();
        bool worked = TakeDurable() | TakeMessages() | TakeApplied() | TakeSnapshotEvents() | TakeTicks();
        worked |= TakeRequests();
        while (_raft.HasReady)
        {
            Carry(_raft.TakeReady());
            worked = true;
        }

        EndRecovery();
        _readsAwaitApply = _barrier.AwaitsApply || _desk.AwaitsApply || _leases.AwaitsApply;
        if (_readsAwaitApply)
        {
            // Applied between the look and the flag: nobody would wake this loop.
            CompleteApplied(AppliedIndex());
            worked |= _leases.AwaitsApply && RunLeases();
        }

        _slumber.Settle(_raft.IsQuiescent && IsIdle());
        PublishStatus();
        AwaitCompany();
        return worked;
    }

    /// <summary>The node ends: whoever waits is told.</summary>
    public void Abandon(MetaStoreError error, string reason)
    {
        _abandoned = true;
        Interlocked.Exchange(ref _companyAwaited, 0);
        Gather();
        _proposer.Abandon(error, reason);
        _barrier.Abandon(error, reason);
        _desk.Abandon(error, reason);
        _leases.Abandon(error, reason);
        PublishStatus();
    }

    /// <summary>
    /// While an append is under way, an operation that does not fill the batch needs not wake the loop, which would only put it with the others: the
    /// end of the append wakes it, which comes after this if this does not see it. The first of a batch wakes it where the batch has a time to go by.
    /// </summary>
    private void AwaitCompany()
    {
        bool isFirst = _proposer.Queued == 0 && !CommitsAlone;
        _companyAwaited = AppendUnderWay && !isFirst ? _parts.ProposerOptions.BatchOperationsMax - _proposer.Queued : 0;
    }

    /// <summary>Whether nothing here wants time to pass.</summary>
    private bool IsIdle() =>
        !HasRequests
        && _messages.IsEmpty
        && !_raft.HasReady
        && _appliedSeen == _raft.CommitIndex // Leases that are granted in the rest would never end.
        && _proposer.Queued + _proposer.UnderWay + _barrier.Count + _desk.Count + _leases.Count == 0
        && _desk.IsSettled(_raft)
        && _leases.IsSettled
        && _removal.IsSettled
        && !_parts.Snapshots.HasTransfers;

    private void TellStates()
    {
        while (_statesReached.TryDequeue(out StateCheck state))
        {
            if (_raft.Role == Role.Leader)
            {
                Tally(_raft.Id, state.Encode());
            }
            else if (!_raft.Leader.IsNone)
            {
                SendPayload(_raft.Leader, MessageKind.StateReport, state.Encode());
            }
        }
    }

    private void Tally(NodeId node, ReadOnlyMemory<byte> report)
    {
        if (_raft.Role == Role.Leader && report.Length == StateCheck.Bytes && _tally.Add(node.Value, StateCheck.Decode(report), _raft.Membership) is { } check)
        {
            _checkDue = check;
            ProposeCheck();
        }

        if (_tally.TakeDifference() is { } index)
        {
            StatesDiffer?.Invoke(index);
        }
    }

    /// <summary>A leader that takes nothing now does so later; a check that is no leader's any more is the next one's to make.</summary>
    private void ProposeCheck()
    {
        if (_checkDue is { } check && (_raft.Role != Role.Leader || _raft.ProposeStateCheck(check.Encode())))
        {
            _checkDue = null;
        }
    }

    private LogIndex AppliedIndex() => new(_parts.Stores.Current.View.AppliedIndex);

    private bool TakeDurable()
    {
        ulong durable = Volatile.Read(ref _writeDurable);
        bool news = durable > _writeSeen;
        if (news)
        {
            _writeSeen = durable;
            _raft.Advance(new WriteReceipt(durable));
        }

        ulong mark = Volatile.Read(ref _markDurable);
        if (mark > _markSeen)
        {
            _markSeen = mark;
            _parts.Snapshots.DeleteOlderThan(mark);
        }

        return news;
    }

    private bool TakeMessages()
    {
        bool worked = false;
        for (int i = 0; i < MessagesMax && _messages.TryDequeue(out Message? message); i++)
        {
            worked = true;
            if (message.Kind == MessageKind.StateReport)
            {
                Tally(message.From, message.Chunk);
                continue;
            }

            if (message.Kind is MessageKind.LeaseAsk or MessageKind.LeaseReply)
            {
                _leases.Receive(message, _raft);
                continue;
            }

            if (message.Kind is MessageKind.Forward or MessageKind.ForwardReply)
            {
                _desk.Receive(message, _raft);
                continue;
            }

            if (message.Kind == MessageKind.ReadIndex)
            {
                // Looked at now, after the message came: see SetTime.
                _raft.SetTime(_parts.Time.GetTimestamp());
            }

            _raft.Step(message);
        }

        while (_unreachable.TryDequeue(out NodeId peer))
        {
            _raft.ReportUnreachable(peer);
        }

        return worked;
    }

    private bool TakeApplied()
    {
        LogIndex applied = AppliedIndex();
        _appliedSeen = applied;
        _raft.AdvanceApplied(applied);
        _raft.Trim(_parts.SnapshotPolicy.LogBytesHeld, _parts.SnapshotPolicy.CatchUpBytes);
        CompleteApplied(applied);
        return false;
    }

    private void CompleteApplied(LogIndex applied)
    {
        _barrier.CompleteApplied(applied);
        _desk.CompleteApplied(applied.Value);
    }

    private void AskForStates()
    {
        ProposeCheck();
        if (_raft.Role == Role.Leader && _tally.Tick(_parts.Stores.Current.View.Digest, _raft.Membership, HasAll))
        {
            _checkDue ??= StateCheck.Ask;
            ProposeCheck();
        }
    }

    private bool HasAll(NodeId member) => member == _raft.Id || _raft.MatchOf(member) == _raft.LastIndex;

    private bool TakeTicks()
    {
        int ticks = _slumber.TakeTicks();
        if (ticks > 0 && _clock.WasLate && _raft.Role == Role.Leader && _raft.Membership.All.Skip(1).Any())
        {
            Volatile.Write(ref _heartbeatsLate, _heartbeatsLate + 1);
        }

        for (int i = 0; i < ticks; i++)
        {
            _raft.Tick();
            _barrier.Tick();
            _parts.Snapshots.Tick();
            _desk.Tick(_raft);
            _leases.Tick(_raft);
            AskForStates();
            if (_removal.WasRemoved)
            {
                _desk.HearOfRemoval();
            }

            _removal.Tick();
        }

        if (ticks > 0)
        {
            long now = _parts.Time.GetTimestamp();
            _proposer.Expire(now);
            _barrier.Expire(now);
            _desk.Expire(now);
            _leases.Expire(now);
            _compactor.Tick(_raft, _parts.Stores.Current.View);
        }

        return ticks > 0;
    }

    private bool TakeRequests()
    {
        bool worked = Gather();
        long now = _parts.Time.GetTimestamp();
        _raft.SetTime(now);
        worked |= _desk.Run(_raft);
        _barrier.TryAsk(_raft, now);
        worked |= RunLeases();
        if (_raft.Leader.IsNone)
        {
            return worked;
        }

        if (_raft.Membership.IsWitness(_raft.Id) && _proposer.Queued + _proposer.UnderWay > 0)
        {
            // Taken before this member knew what it is: the answers would never come out of its log.
            _proposer.Abandon(MetaStoreError.WitnessMember, "this member is a witness: it holds no data; ask another");
        }

        while (_proposer.TryTakeBatch(AppendUnderWay, out BatchId id) is ReadOnlyMemory<byte> batch)
        {
            worked = true;
            if (_raft.Propose(batch) != ProposeResult.Accepted)
            {
                _proposer.PutBack(id);
                break;
            }
        }

        return worked;
    }

    /// <summary>Before the proposer's batches: what ends leases stands behind no load.</summary>
    private bool RunLeases() => _leases.Run(_raft, _leaseNews.Take(_parts.Stores, _hearLeaseNews));

    private bool Gather()
    {
        bool worked = false;
        while (_operations.TryDequeue(out PendingOperation? operation))
        {
            _proposer.Add(operation);
            worked = true;
        }

        while (_reads.TryDequeue(out PendingOperation? read))
        {
            _barrier.Add(read);
            worked = true;
        }

        while (_leaseQuestions.TryDequeue(out PendingOperation? question))
        {
            _leases.Add(question);
            worked = true;
        }

        while (_clusterRequests.TryDequeue(out PendingOperation? request))
        {
            _desk.Add(request);
            worked = true;
        }

        return worked;
    }

    /// <summary>What the member has caught up with is durable; that it has may become so whenever the log gets to it.</summary>
    private void EndRecovery()
    {
        if (_isRecovering && !_raft.IsRecovering)
        {
            _isRecovering = false;
            _parts.Log.Enqueue(new LogWrite { GroupId = _parts.Group.Value, WriteId = _writeHandedOut, EndsRecovery = true });
            HasRecovered?.Invoke();
        }
    }

    private void Carry(Ready ready)
    {
        foreach (Message message in ready.Messages)
        {
            _parts.Transport.Send(_parts.Group, message);
        }

        if (ready.Append is not null)
        {
            _writeHandedOut = ready.Append.WriteId;
            _parts.Log.Enqueue(ToLogWrite(ready.Append));
        }

        HandToApplier(ready.Committed);
        foreach (ReadState read in ready.Reads)
        {
            _barrier.Confirm(read, AppliedIndex());
            _leases.Confirm(read);
            _desk.Confirm(read);
        }

        foreach (ReadContext context in ready.AbortedReads)
        {
            _barrier.Abort(context);
            _leases.Abort(context);
            _desk.Abort(context);
        }

        foreach (NodeId peer in ready.SnapshotsToSend)
        {
            _parts.Snapshots.Send(peer, _raft.Membership.IsWitness(peer), indexMin: _raft.FirstIndex.Value - 1);
        }

        foreach (Message message in ready.SnapshotTraffic)
        {
            _parts.Snapshots.Deliver(message);
        }
    }

    private void HandToApplier(IReadOnlyList<Entry> committed)
    {
        if (committed.Count == 0)
        {
            return;
        }

        for (int i = 0; i < committed.Count; i++)
        {
            Entry entry = committed[i];
            PendingOperation[]? waiters = entry.Kind == EntryKind.Command && !entry.Data.IsEmpty ? _proposer.Take(CommandBatch.ReadId(entry.Data)) : null;
            if (entry.Kind == EntryKind.Membership)
            {
                Membership membership = MembershipCodec.Decode(entry.Data);
                _desk.Committed(entry, membership);
                _removal.Committed(membership);
            }

            _parts.Applier.Enqueue(new ApplyItem(entry, waiters, null));
        }

        _parts.Applier.Wake();
    }

    private LogWrite ToLogWrite(PendingAppend append)
    {
        var entries = new LogEntry[append.Entries.Count];
        for (int i = 0; i < entries.Length; i++)
        {
            Entry entry = append.Entries[i];
            entries[i] = new LogEntry(entry.Index.Value, entry.Term.Value, (byte)entry.Kind, entry.Data);
        }

        return new LogWrite
        {
            GroupId = _parts.Group.Value,
            WriteId = append.WriteId,
            Mark = append.Snapshot is null ? null : new LogSnapshotMark(append.Snapshot.Index.Value, append.Snapshot.Term.Value),
            Entries = entries,
            HardState = append.HardState is HardState state ? new LogHardState(state.Term.Value, state.Vote.Value, state.Commit.Value) : null,
        };
    }

    private bool TakeSnapshotEvents()
    {
        bool worked = false;
        while (_snapshotEvents.TryDequeue(out SnapshotEvent? news))
        {
            worked = true;
            switch (news)
            {
                case SnapshotEvent.Taken taken:
                    // Published before the snapshot was begun, which may have been after this turn looked.
                    _raft.AdvanceApplied(AppliedIndex());
                    _raft.Compact(ToMetadata(taken.Info), catchUpBytes: taken.CatchUpBytes);
                    break;
                case SnapshotEvent.ChunkToSend chunk:
                    SendOrCancel(chunk);
                    break;
                case SnapshotEvent.ChunkAnswer answer:
                    SendIfCurrent(_raft.MakeSnapshotChunkReply(answer.To, answer.Index, answer.BytesHeld, answer.Reject));
                    break;
                case SnapshotEvent.TransferEnded ended:
                    _raft.ReportSnapshot(ended.To, ended.Succeeded);
                    break;
                case SnapshotEvent.Received received:
                    Install(received);
                    break;
            }
        }

        return worked;
    }

    private void Install(SnapshotEvent.Received received)
    {
        if (_raft.RestoreSnapshot(ToMetadata(received.Info)))
        {
            _proposer.SnapshotInstalled();
            _parts.Applier.Enqueue(new ApplyItem(default, null, received.Store));
            _parts.Applier.Wake();
        }
    }

    /// <summary>
    /// The transport reaches whoever is a member from the moment the log says so, since a newcomer's answer may be needed to commit that; and
    /// gives nobody up before the removal is applied, since it may yet be undone, or need the one that goes.
    /// </summary>
    private void TellTransport()
    {
        Membership applied = _parts.Stores.Current.View.Membership;
        bool isNews = !ReferenceEquals(_told, _raft.Membership) || !ReferenceEquals(_toldApplied, applied);
        if (isNews && !KnowsNobody())
        {
            _told = _raft.Membership;
            _toldApplied = applied;
            MemberTable settled = MemberTable.From(applied);
            IEnumerable<Member> members = MemberTable.From(_told).Members.Concat(settled.Members).DistinctBy(member => member.Id);
            _parts.Transport.SetMembers([.. members], settled.Removed);
        }
    }

    /// <summary>A member that knows nobody but itself, and can do nothing by itself, keeps to those it was started with.</summary>
    private bool KnowsNobody() =>
        _raft.Membership.Voters.Count == 0 || (_raft.IsRecovering && _raft.Membership.All.Count() == 1);

    private void SendPayload(NodeId to, MessageKind kind, byte[] payload) =>
        _parts.Transport.Send(_parts.Group, new Message { Kind = kind, From = _raft.Id, To = to, Chunk = payload });

    private void SendOrCancel(SnapshotEvent.ChunkToSend chunk)
    {
        if (_raft.MakeSnapshotChunk(chunk.To, ToMetadata(chunk.Info), chunk.Offset, chunk.Length, chunk.Chunk) is { } message)
        {
            _parts.Transport.Send(_parts.Group, message);
        }
        else
        {
            _parts.Snapshots.Cancel(chunk.To, chunk.Info.Index);
        }
    }

    private void SendIfCurrent(Message? message)
    {
        if (message is not null)
        {
            _parts.Transport.Send(_parts.Group, message);
        }
    }

    private static SnapshotMetadata ToMetadata(SnapshotInfo info) =>
        new(new LogIndex(info.Index), new Term(info.Term), MembershipCodec.Decode(info.Configuration));

    private void PublishStatus()
    {
        NodeId leader = _abandoned ? NodeId.None : _raft.Leader;
        bool changed = _status.Publish(_raft, leader, _proposer.Queued + _proposer.UnderWay + _barrier.Count + _desk.Count + _leases.Count);
        if (changed)
        {
            LeaderChanged?.Invoke();
        }
    }
}
