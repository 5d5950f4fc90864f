using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Members;

/// <summary>
/// Everything about the members that goes through the leader, on each member's node loop: takes requests, hands them to the leader where
/// this member is not it, and on the leader carries them out one at a time. Also what needs nobody to ask: a started member tells its
/// name and addresses, and the leader promotes learners that asked for it. Owned by the node loop.
/// </summary>
internal sealed class MembershipDesk
{
    /// <summary>Requests of others that are known again; a message that comes twice comes soon.</summary>
    private const int RememberedMax = 256;

    private readonly Queue<Job> _queue = new();
    private readonly Queue<(NodeId Asker, ulong Id)> _remembered = new();
    private readonly SortedDictionary<ulong, PendingOperation> _forwarded = [];
    private readonly List<Answer> _answers = [];
    private readonly Member _self;
    private readonly MemberRules _rules;
    private readonly int _electionTicks;
    private readonly Action<NodeId, MessageKind, byte[]> _send;
    private readonly Func<ulong, MembersResponse> _answer;
    private readonly UnprovenRefusal<Job> _refused;
    private ulong _sequence;
    private Job? _underWay;
    private Term _office;
    private int _ticksInOffice;
    private LogIndex _proposedAt;
    private ulong _memberId;
    private int _ticksToPublish;

    /// <param name="self">What this member tells of itself.</param>
    /// <param name="rules">Which changes are taken.</param>
    /// <param name="electionTicks">Ticks in which a leader has heard of everybody who is up; also those between attempts to tell it.</param>
    /// <param name="send">Sends a payload to a member.</param>
    /// <param name="answer">The answer about a member, from what this node has applied.</param>
    /// <param name="readOrigin">Names this life's rounds of reads, and nobody else's.</param>
    /// <param name="firstSequence">Names the first request of this life; drawn at random, so that late answers to another life mean nothing.</param>
    public MembershipDesk(
        Member self,
        MemberRules rules,
        int electionTicks,
        Action<NodeId, MessageKind, byte[]> send,
        Func<ulong, MembersResponse> answer,
        ulong readOrigin,
        ulong firstSequence)
    {
        _self = self;
        _rules = rules;
        _electionTicks = electionTicks;
        _refused = new UnprovenRefusal<Job>(readOrigin, electionTicks);
        _send = send;
        _answer = answer;
        _sequence = firstSequence;
    }

    /// <summary>Requests that have not been answered.</summary>
    public int Count => _queue.Count + _forwarded.Count + _answers.Count + (_underWay is null ? 0 : 1) + (_refused.IsEmpty ? 0 : 1);

    /// <summary>What came of the promotions that somebody asked for, while this member led.</summary>
    public PromotionCounts Promotions { get; } = new();

    /// <summary>Whether an answer waits for entries to be applied.</summary>
    public bool AwaitsApply => _answers.Count > 0;

    /// <summary>Whether this member has nothing to tell of itself and, as leader, nobody to promote.</summary>
    public bool IsSettled(RaftNode raft) => !WantsToPublish(raft) && (raft.Role != Role.Leader || raft.Membership.Learners.Count == 0);

    public void Add(PendingOperation operation) => _queue.Enqueue(new Job((ClusterRequest)operation.Request, operation, NodeId.None, ++_sequence));

    /// <summary>A payload of another member: a request, if this node leads, or the answer to one of its own.</summary>
    public void Receive(Message message, RaftNode raft)
    {
        try
        {
            if (message.Kind == MessageKind.Forward)
            {
                (ulong id, ClusterRequest request) = ForwardCodec.DecodeRequest(message.Chunk);
                var job = new Job(request, null, message.From, id);
                if (!IsNew(job) && !KnownBugs.DoubledChangeIsMadeTwice)
                {
                    return; // What became of the first is the answer, also where this member has come to lead since, or has ceased to.
                }

                if (raft.Role == Role.Leader)
                {
                    _queue.Enqueue(job);
                }
                else
                {
                    End(job, Failed(MetaStoreError.NoLeader, "the member that was taken for the leader does not lead (any more)"));
                }

                return;
            }

            (ulong answered, ClusterReply reply) = ForwardCodec.DecodeReply(message.Chunk);
            if (_forwarded.Remove(answered, out PendingOperation? operation))
            {
                Hear(operation, reply);
            }
        }
        catch (RequestFormatException)
        {
            // Of another version, or damaged: whoever asked hears nothing and gives up in time.
        }
    }

    /// <summary>Carries out what can be carried out now.</summary>
    public bool Run(RaftNode raft)
    {
        FinishTransfer(raft);
        bool worked = false;
        while (_underWay is null && _refused.IsEmpty && _queue.TryPeek(out Job? job))
        {
            if (job.Local is { IsCompleted: true })
            {
                _queue.Dequeue();
                job.Local.ReleaseByPipeline();
                continue;
            }

            if (raft.Role == Role.Leader ? !TryBegin(job, raft) : !TryForward(job, raft))
            {
                break;
            }

            _queue.Dequeue();
            worked = true;
        }

        return worked;
    }

    /// <summary>A membership came out of the log, committed.</summary>
    public void Committed(in Entry entry, Membership membership)
    {
        ChangeOrigin change = membership.IsJoint ? default : MemberTable.From(membership).LastChange;
        if (_underWay is { Request.Change: not null } job && !membership.IsJoint && entry.Index >= _proposedAt)
        {
            // What is committed at or behind its place is it, or has replaced it: another led meanwhile, which this member may not have noticed yet.
            bool isIt = change == OriginOf(job, _memberId) || KnownBugs.AnyMembershipIsTheChange;
            EndUnderWay(isIt
                ? new ClusterReply(entry.Index.Value, _memberId, null)
                : Failed(MetaStoreError.NoLeader, "another member was elected before the change was committed, and it was not made"));
        }

        if (change.Asker == _self.Id && _forwarded.Remove(change.Request, out PendingOperation? asked))
        {
            _answers.Add(new Answer(entry.Index.Value, change.Member, asked));
        }
    }

    /// <summary>
    /// A peer says that this member was removed. Where that was asked for here, it is the answer: the log may never tell, since nobody sends it here any more.
    /// </summary>
    public void HearOfRemoval()
    {
        foreach ((ulong id, PendingOperation operation) in _forwarded.Where(pair => RemovesSelf(pair.Value)).ToArray())
        {
            _forwarded.Remove(id);
            EndByRemoval(operation);
        }

        if (_underWay is { Local: { } local } && RemovesSelf(local))
        {
            _underWay = null;
            EndByRemoval(local);
        }
    }

    public void CompleteApplied(ulong applied)
    {
        int kept = 0;
        for (int i = 0; i < _answers.Count; i++)
        {
            if (_answers[i].Index > applied)
            {
                _answers[kept++] = _answers[i];
                continue;
            }

            _answers[i].Operation.TryComplete(_answer(_answers[i].MemberId));
            _answers[i].Operation.ReleaseByPipeline();
        }

        _answers.RemoveRange(kept, _answers.Count - kept);
    }

    /// <summary>A round of reads is answered: where it is the one that was to show that a refusal is true, it is given.</summary>
    public void Confirm(in ReadState state)
    {
        if (_refused.Confirm(state.Context) is { } refused)
        {
            EndAsLeader(refused.Request, new ClusterReply(0, 0, refused.Refusal));
        }
    }

    /// <summary>A round of reads comes to nothing.</summary>
    public void Abort(ReadContext context) => AskAgain(_refused.Abort(context));

    public void Tick(RaftNode raft)
    {
        _ticksInOffice = raft.Role == Role.Leader && raft.Term == _office ? _ticksInOffice + 1 : 0;
        _office = raft.Term;
        AskAgain(_refused.Tick());
        if (raft.IsMembershipSettled)
        {
            PromoteWhoIsReady(raft);
        }

        if (raft.Role != Role.Leader && _underWay is { Request.Change: not null } job)
        {
            // It may still be committed, by whoever leads now: those who asked find it in their own logs, or give up in time.
            _underWay = null;
            if (job.Local is not null)
            {
                _forwarded.Add(job.Id, job.Local);
            }
        }

        if (--_ticksToPublish <= 0)
        {
            _ticksToPublish = _electionTicks;
            PublishIfNeeded(raft);
        }
    }

    public void Expire(long now)
    {
        foreach ((ulong id, PendingOperation operation) in _forwarded.Where(pair => pair.Value.Deadline <= now).ToArray())
        {
            _forwarded.Remove(id);
            Fail(operation, new MetaStoreException(MetaStoreError.Timeout, "the leader did not answer in time", Outcome.Unknown));
        }

        if (_refused.Request?.Local is { } refused && refused.Deadline <= now)
        {
            _refused.Clear();
            Fail(refused, new MetaStoreException(MetaStoreError.Timeout, "no majority confirmed in time what the request was to be refused for"));
        }

        if (_underWay?.Local is { } local && local.Deadline <= now)
        {
            EndUnderWay(Failed(MetaStoreError.Timeout, "no answer in time", Outcome.Unknown));
        }

        foreach (Answer answer in _answers.Where(answer => answer.Operation.Deadline <= now).ToArray())
        {
            _answers.Remove(answer);
            Fail(answer.Operation, new MetaStoreException(MetaStoreError.Timeout, "the change was made, and this member did not come to know it in time", Outcome.Unknown));
        }

        for (int i = _queue.Count; i > 0; i--)
        {
            Job job = _queue.Dequeue();
            if (job.Local is { } waiting && waiting.Deadline <= now)
            {
                Fail(waiting, new MetaStoreException(MetaStoreError.Timeout, "no leader took the request in time"));
            }
            else
            {
                _queue.Enqueue(job);
            }
        }
    }

    /// <summary>The node ends: nobody waits in vain.</summary>
    public void Abandon(MetaStoreError error, string reason)
    {
        if (_underWay is not null)
        {
            EndUnderWay(Failed(error, $"{reason}", Outcome.Unknown));
        }

        AskAgain(_refused.Clear());
        while (_queue.TryDequeue(out Job? job))
        {
            End(job, Failed(error, reason));
        }

        foreach (PendingOperation operation in _forwarded.Values)
        {
            Fail(operation, new MetaStoreException(error, $"{reason}", Outcome.Unknown));
        }

        foreach (Answer answer in _answers)
        {
            Fail(answer.Operation, new MetaStoreException(error, $"{reason}; the change was made", Outcome.Unknown));
        }

        _forwarded.Clear();
        _answers.Clear();
    }

    private bool RemovesSelf(PendingOperation operation) => ((ClusterRequest)operation.Request).Change switch
    {
        RemoveMember removal => removal.Id == _self.Id,
        PromoteMember promotion => promotion.Replacing == _self.Id,
        _ => false,
    };

    /// <summary>The leader's answer. Where the change takes this member away, nobody sends it the entry that it would have to apply first.</summary>
    private void Hear(PendingOperation operation, ClusterReply reply)
    {
        if (reply.Error is null && RemovesSelf(operation))
        {
            AnswerAsRemoved(operation, reply.MemberId);
        }
        else
        {
            End(new Job((ClusterRequest)operation.Request, operation, NodeId.None, 0), reply);
        }
    }

    /// <summary>That it is gone is all that a removal was to bring about, whoever asked for it; of a replacement it is one half.</summary>
    private void EndByRemoval(PendingOperation operation)
    {
        if (((ClusterRequest)operation.Request).Change is PromoteMember promotion && !KnownBugs.RemovalPassesForReplacement)
        {
            Fail(operation, new MetaStoreException(
                MetaStoreError.NoLeader, $"this member was removed from the cluster; whether {promotion.Id:x} took its place the other members tell", Outcome.Unknown));
        }
        else
        {
            AnswerAsRemoved(operation, _self.Id);
        }
    }

    /// <summary>As the members are after the change, though this one will not come to know it.</summary>
    private void AnswerAsRemoved(PendingOperation operation, ulong memberId)
    {
        MembersResponse answer = _answer(memberId);
        IEnumerable<Member> left = answer.Members
            .Where(member => member.Id != _self.Id)
            .Select(member => member.Id == memberId ? member with { IsLearner = false, PromoteWhenReady = false } : member);
        operation.TryComplete(answer with { Members = [.. left] });
        operation.ReleaseByPipeline();
    }

    /// <summary>The same message for the second time would be refused for what the first has brought about, and the refusal may be what arrives.</summary>
    private bool IsNew(Job job)
    {
        if (_remembered.Contains((job.Origin, job.Id)))
        {
            return false;
        }

        _remembered.Enqueue((job.Origin, job.Id));
        if (_remembered.Count > RememberedMax)
        {
            _remembered.Dequeue();
        }

        return true;
    }

    private static ClusterReply Failed(MetaStoreError error, string message, Outcome outcome = Outcome.NotApplied) =>
        new(0, 0, new MetaStoreException(error, message, outcome));

    private static void Fail(PendingOperation operation, MetaStoreException error)
    {
        operation.TryFail(error);
        operation.ReleaseByPipeline();
    }

    private static LeaderKnowledge Knowledge(RaftNode raft) => new(
        raft.Id.Value, id => raft.IsActive(new NodeId(id)), id => raft.MatchOf(new NodeId(id))?.Value ?? 0, raft.LastIndex.Value);

    /// <summary>False: it must wait for the change before it.</summary>
    private bool TryBegin(Job job, RaftNode raft)
    {
        try
        {
            return job.Request.Change is { } change ? TryChange(job, change, raft) : TryTransfer(job, raft);
        }
        catch (MetaStoreException refusal)
        {
            return TryRefuse(job, refusal, raft);
        }
    }

    /// <summary>
    /// A refusal is final, so it must be true. That a member is missing, or is a voter, may be said by a leader that is none any more: a round of reads shows that it was one. Who is up a
    /// leader knows when it has been in office for as long as that takes; what it says of it holds for this moment anyway.
    /// </summary>
    private bool TryRefuse(Job job, MetaStoreException refusal, RaftNode raft)
    {
        bool isOfTheMoment = refusal.Error is MetaStoreError.UnhealthyCluster or MetaStoreError.LearnerNotReady;
        if (!isOfTheMoment && !KnownBugs.RefusedByWhatIsNotCommitted)
        {
            return _refused.TryProve(job, refusal, raft);
        }

        if (isOfTheMoment && _ticksInOffice < _electionTicks && !KnownBugs.RefusedByWhatIsNotCommitted)
        {
            return false;
        }

        EndAsLeader(job, new ClusterReply(0, 0, refusal));
        return true;
    }

    private void AskAgain(Job? refused)
    {
        if (refused is not null)
        {
            _queue.Enqueue(refused);
        }
    }

    private bool TryChange(Job job, MemberChange change, RaftNode raft)
    {
        if (!raft.IsMembershipSettled && !KnownBugs.RefusedByWhatIsNotCommitted)
        {
            return false; // What it is judged by may yet be taken back; and the two halves of a joint membership are no cluster to judge by.
        }

        (MemberTable table, ulong memberId) = _rules.Apply(MemberTable.From(raft.Membership), change, Knowledge(raft));
        if (KnownBugs.ChangeOfNothingIsDoneAtOnce && table.ToMembership().Equals(raft.Membership) && raft.MembershipIndex <= raft.CommitIndex)
        {
            End(job, new ClusterReply(raft.MembershipIndex.Value, memberId, null));
            return true;
        }

        Membership target = table.Because(OriginOf(job, memberId)).ToMembership();
        if (raft.ChangeMembership(target) != MembershipResult.Accepted)
        {
            return false;
        }

        _underWay = job;
        _proposedAt = raft.MembershipIndex;
        _memberId = memberId;
        return true;
    }

    private bool TryTransfer(Job job, RaftNode raft)
    {
        var target = new NodeId(job.Request.MoveLeaderTo);
        if (target != raft.Id && !raft.TransferLeadership(target))
        {
            string reason = raft.Membership.IsWitness(target) ? "is a witness, which never leads"
                : raft.Membership.Voters.Contains(target) ? "lost a part of its log and has to catch up first"
                : raft.Membership.Outgoing.Contains(target) ? "is being replaced"
                : "is no voter of this cluster";
            throw new MetaStoreException(MetaStoreError.BadTransferee, $"bad leader transferee: {target} {reason}");
        }

        _underWay = job;
        return true;
    }

    private void FinishTransfer(RaftNode raft)
    {
        if (_underWay is not { Request.Change: null } job)
        {
            return;
        }

        var target = new NodeId(job.Request.MoveLeaderTo);
        if (raft.Leader == target)
        {
            EndUnderWay(new ClusterReply(0, target.Value, null));
        }
        else if (raft.Role == Role.Leader && raft.Transferee.IsNone)
        {
            EndUnderWay(Failed(MetaStoreError.BadTransferee, $"{target} did not take over within an election timeout; this node goes on leading"));
        }
        else if (!raft.Leader.IsNone && raft.Leader != raft.Id)
        {
            EndUnderWay(Failed(MetaStoreError.BadTransferee, $"{raft.Leader} was elected in place of {target}", Outcome.Unknown));
        }
    }

    /// <summary>False: there is no leader to hand it to.</summary>
    private bool TryForward(Job job, RaftNode raft)
    {
        if (job.Local is null)
        {
            // Somebody else's, or the node's own: whoever wants it will ask again.
            End(job, Failed(MetaStoreError.NoLeader, "the member that was taken for the leader does not lead (any more)"));
            return true;
        }

        if (raft.Leader.IsNone)
        {
            return false;
        }

        _forwarded.Add(job.Id, job.Local);
        _send(raft.Leader, MessageKind.Forward, ForwardCodec.EncodeRequest(job.Id, job.Request));
        return true;
    }

    private void PublishIfNeeded(RaftNode raft)
    {
        if (!WantsToPublish(raft))
        {
            return;
        }

        var request = new ClusterRequest(new PublishMember(_self.Id, _self.Name, _self.ClientUrls, _self.DirectoryId), 0);
        if (raft.Role == Role.Leader)
        {
            EnqueueOnce(request);
        }
        else if (!raft.Leader.IsNone)
        {
            _send(raft.Leader, MessageKind.Forward, ForwardCodec.EncodeRequest(++_sequence, request));
        }
    }

    /// <summary>What the membership says of this member is not what it would say of itself.</summary>
    private bool WantsToPublish(RaftNode raft)
    {
        Member? known = raft.Membership.Contains(raft.Id) ? MemberTable.From(raft.Membership).Find(_self.Id) : null;
        bool isKnown = known is not null && known.Name == _self.Name && known.ClientUrls.SequenceEqual(_self.ClientUrls) && known.DirectoryId == _self.DirectoryId;
        return known is not null && !isKnown;
    }

    /// <summary>Of those who are ready the first whose promotion would be taken now: one that would not must not be in the others' way, for these may be what it waits for.</summary>
    private void PromoteWhoIsReady(RaftNode raft)
    {
        if (raft.Membership.Learners.Count == 0)
        {
            return;
        }

        MemberTable table = MemberTable.From(raft.Membership);
        LeaderKnowledge knowledge = Knowledge(raft);
        Member? next = table.Members.FirstOrDefault(member =>
            member is { IsLearner: true, PromoteWhenReady: true }
            && MemberRules.IsReady(member.Id, knowledge)
            && (_rules.Takes(table, new PromoteMember(member.Id), knowledge) || KnownBugs.ReadyLearnerWaitsForTheFirst));
        if (next is not null)
        {
            EnqueueOnce(new ClusterRequest(new PromoteMember(next.Id), 0));
        }
    }

    /// <summary>For what the node wants by itself: wanted again with each tick, it must not pile up.</summary>
    private void EnqueueOnce(ClusterRequest request)
    {
        bool isWaiting = _queue.Any(job => job.Local is null && job.Origin.IsNone) || _underWay is { Local: null, Origin.IsNone: true };
        if (!isWaiting)
        {
            _queue.Enqueue(new Job(request, null, NodeId.None, ++_sequence));
        }
    }

    private ChangeOrigin OriginOf(Job job, ulong memberId) => new(job.Origin.IsNone ? _self.Id : job.Origin.Value, job.Id, memberId);

    private void EndUnderWay(ClusterReply reply)
    {
        Job job = _underWay!;
        _underWay = null;
        EndAsLeader(job, reply);
    }

    private void EndAsLeader(Job job, ClusterReply reply)
    {
        bool isAskedFor = job.Local is not null || !job.Origin.IsNone;
        if (isAskedFor && job.Request.Change is PromoteMember)
        {
            Promotions.Add(reply.Error?.Error);
        }

        End(job, reply);
    }

    private void End(Job job, ClusterReply reply)
    {
        if (!job.Origin.IsNone)
        {
            _send(job.Origin, MessageKind.ForwardReply, ForwardCodec.EncodeReply(job.Id, reply));
        }
        else if (job.Local is not null && reply.Error is not null)
        {
            Fail(job.Local, reply.Error);
        }
        else if (job.Local is not null)
        {
            _answers.Add(new Answer(reply.Index, reply.MemberId, job.Local));
        }
    }

    /// <summary>A request with whoever waits for it: a handle of this node, another member, or nobody.</summary>
    private sealed record Job(ClusterRequest Request, PendingOperation? Local, NodeId Origin, ulong Id);

    private readonly record struct Answer(ulong Index, ulong MemberId, PendingOperation Operation);
}
