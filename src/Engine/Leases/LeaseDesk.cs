using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Leases;

/// <summary>
/// Everything about leases that is no entry of the log, on each member's node loop: takes renewals and questions, hands them to the leader where this member is not it,
/// many in one message, and on the leader answers them from the <see cref="Lessor"/>, once a round of reads has shown that it leads (free under the leader's lease) and
/// the state holds what was acknowledged before the round. Also the leader's own entries: what has run out, and checkpoints. Owned by the node loop.
/// </summary>
internal sealed class LeaseDesk
{
    private readonly Lessor _lessor;
    private readonly LeaseClock _clock;
    private readonly ulong _readOrigin;
    private readonly int _retryTicks;
    private readonly Action<NodeId, MessageKind, byte[]> _send;
    private readonly Func<LeaseAskRequest, LeaseFacts, StoreResponse> _answer;
    private readonly SortedDictionary<ulong, Sent> _sent = [];
    private readonly Queue<(ulong Index, List<LeaseAsk> Asks)> _confirmed = new();
    private readonly List<(ulong Index, PendingOperation Caller, LeaseFacts Facts)> _answered = [];
    private List<LeaseAsk> _waiting = [];
    private List<LeaseAsk>? _inRound;
    private List<LeaseAsk> _held = [];
    private ReadContext _round;
    private ulong _lastRound;
    private ulong _lastBatch;
    private int _roundTicksLeft;
    private bool _newsHeard;
    private long _renewed;

    /// <param name="lessor">Keeps the time while this member leads.</param>
    /// <param name="clock">Its clock.</param>
    /// <param name="origin">Names this life of the node in its rounds and batches; no other rounds of the node have it.</param>
    /// <param name="retryTicks">Ticks after which a round or a batch without an answer is asked again.</param>
    /// <param name="send">Sends a payload to a member.</param>
    /// <param name="answer">The answer to a caller, from what this node has applied.</param>
    public LeaseDesk(
        Lessor lessor, LeaseClock clock, ulong origin, int retryTicks, Action<NodeId, MessageKind, byte[]> send, Func<LeaseAskRequest, LeaseFacts, StoreResponse> answer)
    {
        _lessor = lessor;
        _clock = clock;
        _readOrigin = origin;
        _lastBatch = origin;
        _retryTicks = retryTicks;
        _send = send;
        _answer = answer;
    }

    /// <summary>Questions that have not been answered.</summary>
    public int Count => _waiting.Count + (_inRound?.Count ?? 0) + _confirmed.Sum(round => round.Asks.Count) + _held.Count + _sent.Values.Sum(sent => sent.Asks.Count) + _answered.Count;

    /// <summary>Leases renewed by this member while it led. Counted by the node loop, read by any thread.</summary>
    public long Renewed => Volatile.Read(ref _renewed);

    /// <summary>Whether somebody waits for entries to be applied.</summary>
    public bool AwaitsApply => _confirmed.Count + _held.Count + _answered.Count > 0;

    /// <summary>Whether nothing here wants time to pass.</summary>
    public bool IsSettled => _lessor.Count == 0 && !AwaitsApply && _waiting.Count == 0 && _inRound is null && _sent.Count == 0;

    public void Add(PendingOperation caller) => _waiting.Add(LeaseAsk.Of(caller));

    /// <summary>A lease has changed in the replicated state.</summary>
    public void Hear(in LeaseNews news)
    {
        _lessor.Hear(news, _clock.Read());
        _newsHeard = true;
    }

    /// <summary>Questions of another member, if this one leads, or the answers to its own.</summary>
    public void Receive(Message message, RaftNode raft)
    {
        try
        {
            if (message.Kind == MessageKind.LeaseReply)
            {
                Take(message.Chunk);
            }
            else if (raft.Role == Role.Leader)
            {
                (ulong batch, (LeaseQuestion Question, long Id)[] questions) = LeaseMessageCodec.DecodeAsk(message.Chunk);
                _waiting.AddRange(LeaseAsk.Of(message.From, batch, questions, _retryTicks));
            }
        }
        catch (RequestFormatException)
        {
            // Of another version, or damaged: whoever asked hears nothing and gives up in time.
        }
    }

    /// <summary>Takes or leaves office, and carries out what can be carried out now. Before other proposals: these are not refused, and do not wait behind them.</summary>
    /// <returns>Whether anything was done.</returns>
    public bool Run(RaftNode raft, StoreView view)
    {
        long now = _clock.Read();
        TakeOffice(raft, view, now);
        bool worked = Complete(view.AppliedIndex);
        if (raft.Role != Role.Leader)
        {
            GiveBack();
            worked |= Forward(raft);
        }
        else
        {
            BeginRound(raft);
            worked |= Answer(view, now);
        }

        _lessor.Advance(now);
        return Propose(raft, view, now) || worked;
    }

    /// <summary>A round of reads was answered; ignored where it is none of this desk's.</summary>
    public void Confirm(in ReadState read)
    {
        if (_inRound is not null && read.Context == _round)
        {
            Defer(_inRound, _clock.Read());
            _confirmed.Enqueue((read.Index.Value, _inRound));
            _inRound = null;
        }
    }

    public void Abort(ReadContext context)
    {
        if (_inRound is not null && context == _round)
        {
            AskAgain();
        }
    }

    public void Tick(RaftNode raft)
    {
        if (_inRound is not null && --_roundTicksLeft <= 0)
        {
            AskAgain();
        }

        foreach (Sent sent in _sent.Values)
        {
            if (--sent.TicksLeft <= 0 && !raft.Leader.IsNone && raft.Role != Role.Leader)
            {
                Send(sent, raft.Leader);
            }
        }

        foreach (LeaseAsk.RemoteBatch batch in All().Select(ask => ask.Batch).OfType<LeaseAsk.RemoteBatch>().Distinct().ToArray())
        {
            batch.TicksLeft--;
        }

        Drop(ask => ask.Batch is { TicksLeft: <= 0 });
    }

    public void Expire(long now)
    {
        Drop(ask =>
        {
            if (ask.Caller is not { } caller || (caller.Deadline > now && !caller.IsCompleted))
            {
                return false;
            }

            Fail(caller, new MetaStoreException(MetaStoreError.Timeout, "no leader answered in time", OutcomeOf(ask.Question)));
            return true;
        });

        // Answered by the leader, as of an index that this member, should it have been removed meanwhile, never comes to.
        _answered.RemoveAll(answered =>
        {
            bool isLate = answered.Caller.Deadline <= now;
            if (isLate)
            {
                Fail(answered.Caller, new MetaStoreException(MetaStoreError.Timeout, "this member has not applied in time what the leader answered by", Outcome.Unknown));
            }

            return isLate;
        });
        foreach (ulong batch in _sent.Where(pair => pair.Value.Asks.Count == 0).Select(pair => pair.Key).ToArray())
        {
            _sent.Remove(batch);
        }
    }

    /// <summary>The node ends: nobody waits in vain.</summary>
    public void Abandon(MetaStoreError error, string reason)
    {
        Drop(ask =>
        {
            if (ask.Caller is not null)
            {
                Fail(ask.Caller, new MetaStoreException(error, reason, OutcomeOf(ask.Question)));
            }

            return true;
        });
        foreach ((_, PendingOperation caller, _) in _answered)
        {
            Fail(caller, new MetaStoreException(error, reason, Outcome.Unknown));
        }

        _sent.Clear();
        _answered.Clear();
    }

    /// <summary>A renewal whose answer was lost may have been made. Repeating it does no harm.</summary>
    private static Outcome OutcomeOf(LeaseQuestion question) => question == LeaseQuestion.KeepAlive ? Outcome.Unknown : Outcome.NotApplied;

    private static void Fail(PendingOperation caller, MetaStoreException error)
    {
        caller.TryFail(error);
        caller.ReleaseByPipeline();
    }

    private IEnumerable<LeaseAsk> All() =>
        _waiting.Concat(_inRound ?? []).Concat(_confirmed.SelectMany(round => round.Asks)).Concat(_held).Concat(_sent.Values.SelectMany(sent => sent.Asks));

    private void Drop(Predicate<LeaseAsk> match)
    {
        _waiting.RemoveAll(match);
        _inRound?.RemoveAll(match);
        _held.RemoveAll(match);
        foreach ((_, List<LeaseAsk> asks) in _confirmed)
        {
            asks.RemoveAll(match);
        }

        foreach (Sent sent in _sent.Values)
        {
            sent.Asks.RemoveAll(match);
        }
    }

    /// <summary>
    /// The time is kept from when an entry of the own term is applied: then the state holds everything that earlier leaders granted, ended and checkpointed.
    /// </summary>
    private void TakeOffice(RaftNode raft, StoreView view, long now)
    {
        bool leads = raft.Role == Role.Leader;
        if (_lessor.Term != 0 && (!leads || _lessor.Term != raft.Term.Value) && !(KnownBugs.DeposedLeaderRevokes && !leads))
        {
            _lessor.Resign();
        }

        bool knowsAll = view.AppliedTerm == raft.Term.Value || KnownBugs.LessorBeforeApply;
        if (leads && _lessor.Term != raft.Term.Value && knowsAll)
        {
            _lessor.Promote(raft.Term.Value, view, now);
            foreach ((ulong _, List<LeaseAsk> asks) in _confirmed)
            {
                Defer(asks, now);
            }
        }
    }

    /// <summary>Renewals that have come in time, however long it takes until what they are answered by is applied.</summary>
    private void Defer(List<LeaseAsk> asks, long now)
    {
        foreach (LeaseAsk ask in asks)
        {
            if (ask.Question == LeaseQuestion.KeepAlive)
            {
                _lessor.Defer(ask.Id, now);
            }
        }
    }

    private void BeginRound(RaftNode raft)
    {
        if (_sent.Count > 0)
        {
            TakeBack();
        }

        if (_inRound is not null || _waiting.Count == 0)
        {
            return;
        }

        if (KnownBugs.LessorBeforeApply)
        {
            _confirmed.Enqueue((0, _waiting));
            _waiting = [];
            return;
        }

        var context = new ReadContext(_readOrigin, ++_lastRound);
        if (raft.RequestRead(context))
        {
            _round = context;
            _roundTicksLeft = _retryTicks;
            _inRound = _waiting;
            _waiting = [];
        }
    }

    private bool Answer(StoreView view, long now)
    {
        if (_lessor.Term == 0)
        {
            return false;
        }

        bool worked = false;
        if (_newsHeard && _held.Count > 0)
        {
            List<LeaseAsk> held = _held;
            _held = [];
            held.ForEach(ask => Answer(ask, view, now));
            worked = true;
        }

        _newsHeard = false;
        while (_confirmed.TryPeek(out (ulong Index, List<LeaseAsk> Asks) next) && next.Index <= view.AppliedIndex)
        {
            _confirmed.Dequeue();
            next.Asks.ForEach(ask => Answer(ask, view, now));
            worked = true;
        }

        return worked;
    }

    private void Answer(LeaseAsk ask, StoreView view, long now)
    {
        LeaseFacts facts = LeaseFacts.None;
        if (ask.Question == LeaseQuestion.KeepAlive)
        {
            switch (_lessor.TryRenew(ask.Id, now, out long ttl))
            {
                case Renewal.Waits:
                    _held.Add(ask);
                    return;
                case Renewal.Done:
                    Volatile.Write(ref _renewed, _renewed + 1);
                    facts = new LeaseFacts(ttl, ttl);
                    break;
            }
        }
        else if (_lessor.Find(ask.Id, now) is (long granted, long remaining))
        {
            facts = new LeaseFacts(granted, remaining);
        }

        if (ask.Caller is { } caller)
        {
            End(caller, facts);
            return;
        }

        LeaseAsk.RemoteBatch batch = ask.Batch!;
        batch.Answers[ask.Position] = facts;
        if (--batch.Open == 0)
        {
            _send(batch.From, MessageKind.LeaseReply, LeaseMessageCodec.EncodeReply(batch.Id, view.AppliedIndex, batch.Answers));
        }
    }

    private void End(PendingOperation caller, LeaseFacts facts)
    {
        if (!caller.IsCompleted)
        {
            try
            {
                caller.TryComplete(_answer((LeaseAskRequest)caller.Request, facts));
            }
            catch (MetaStoreException refusal)
            {
                caller.TryFail(refusal);
            }
        }

        caller.ReleaseByPipeline();
    }

    private bool Forward(RaftNode raft)
    {
        if (_waiting.Count == 0 || raft.Leader.IsNone)
        {
            return false;
        }

        var sent = new Sent(++_lastBatch, _waiting);
        _waiting = [];
        _sent.Add(sent.Id, sent);
        Send(sent, raft.Leader);
        return true;
    }

    /// <summary>Callers give up while their questions are on the way, so the batch keeps what it was made of.</summary>
    private void Send(Sent sent, NodeId leader)
    {
        sent.TicksLeft = _retryTicks;
        _send(leader, MessageKind.LeaseAsk, LeaseMessageCodec.EncodeAsk(sent.Id, sent.Questions));
    }

    private void Take(ReadOnlyMemory<byte> reply)
    {
        (ulong batch, ulong index, LeaseFacts[] answers) = LeaseMessageCodec.DecodeReply(reply);
        if (!_sent.TryGetValue(batch, out Sent? sent) || answers.Length != sent.Questions.Length)
        {
            return;
        }

        _sent.Remove(batch);
        foreach (LeaseAsk ask in sent.Asks)
        {
            _answered.Add((index, ask.Caller!, answers[sent.PlaceOf(ask)]));
        }
    }

    /// <summary>What the leader said counts as of an index; the answer is given once this node has applied it.</summary>
    private bool Complete(ulong applied)
    {
        int kept = 0;
        for (int i = 0; i < _answered.Count; i++)
        {
            if (_answered[i].Index > applied)
            {
                _answered[kept++] = _answered[i];
                continue;
            }

            End(_answered[i].Caller, _answered[i].Facts);
        }

        bool worked = kept < _answered.Count;
        _answered.RemoveRange(kept, _answered.Count - kept);
        return worked;
    }

    /// <summary>Another leads: what this node's callers asked goes there; what other members asked they ask there themselves.</summary>
    private void GiveBack()
    {
        AskAgain();
        while (_confirmed.TryDequeue(out (ulong Index, List<LeaseAsk> Asks) round))
        {
            _waiting.AddRange(round.Asks);
        }

        _waiting.AddRange(_held);
        _held.Clear();
        _waiting.RemoveAll(ask => ask.Batch is not null);
    }

    /// <summary>This member leads now: what it had asked another it answers itself.</summary>
    private void TakeBack()
    {
        foreach (Sent sent in _sent.Values)
        {
            _waiting.AddRange(sent.Asks);
        }

        _sent.Clear();
    }

    private void AskAgain()
    {
        if (_inRound is not null)
        {
            _waiting.AddRange(_inRound);
            _inRound = null;
        }
    }

    private bool Propose(RaftNode raft, StoreView view, long now)
    {
        bool worked = false;
        while (_lessor.Propose(view, now) is { } request)
        {
            ReadOnlyMemory<byte> batch = CommandBatch.EncodeOwn(request);
            bool isHandedOn = KnownBugs.DeposedLeaderRevokes && raft.Role != Role.Leader && raft.Propose(batch) == ProposeResult.Accepted;
            if (!isHandedOn && !raft.ProposeUrgent(batch))
            {
                _lessor.PutBack(request);
                break;
            }

            _lessor.Proposed(raft.LastIndex.Value);
            worked = true;
        }

        return worked;
    }

    /// <summary>A batch of questions that were sent to the leader.</summary>
    private sealed class Sent
    {
        private readonly Dictionary<(LeaseQuestion Question, long Id), int> _places = [];

        public Sent(ulong id, List<LeaseAsk> asks)
        {
            Id = id;
            Asks = asks;
            Questions = [.. asks.Select(ask => (ask.Question, ask.Id)).Distinct()];
            for (int i = 0; i < Questions.Length; i++)
            {
                _places.Add(Questions[i], i);
            }
        }

        public ulong Id { get; }

        /// <summary>Those that somebody still waits for.</summary>
        public List<LeaseAsk> Asks { get; }

        /// <summary>What was asked, each once.</summary>
        public (LeaseQuestion Question, long Id)[] Questions { get; }

        public int TicksLeft { get; set; }

        public int PlaceOf(LeaseAsk ask) => _places[(ask.Question, ask.Id)];
    }
}
