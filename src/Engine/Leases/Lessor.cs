using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Leases;

/// <summary>What came of a renewal.</summary>
internal enum Renewal
{
    /// <summary>The whole time to live runs again.</summary>
    Done,

    /// <summary>It waits for the log: for a checkpoint to be put right, or for the end of the lease, which is on its way. Ask again when something was applied.</summary>
    Waits,

    /// <summary>There is no such lease.</summary>
    Unknown,
}

/// <summary>
/// Keeps the time of all leases, on the leader: when each runs out, and when the log should learn what it has left. Not replicated: what it knows beyond the
/// replicated state are the renewals since, and it is written so that losing them can only make a lease end later. Owned by the node loop. Times are those of
/// <see cref="LeaseClock"/>.
/// <para>
/// <b>Never early.</b> A lease gets (1 + d) times its time to live, d being how fast a clock may run, so that by a right clock at least its time to live passes. A new leader
/// begins each lease with all of it, or with what the last checkpoint said, and a renewal is not answered before the log says "all of it" again.
/// </para>
/// <para>
/// <b>At most so much late.</b> A lease that nobody renews ends after (1 + d) times its time to live under one leader. Each change of the leader adds the time without one, and what passed since the last checkpoint:
/// at most two fifths of the time to live for the first after a renewal, a tenth for each further one, or half a second where that is more. So through three changes a lease of five seconds or more is over
/// after twice its time to live, as long as these last no more than three tenths of it together.
/// </para>
/// </summary>
internal sealed class Lessor(double clockDriftMax)
{
    /// <summary>Leases that one entry ends at most.</summary>
    public const int ExpiredPerEntry = 256;

    /// <summary>Keys that one entry removes at most, unless one lease alone has more.</summary>
    public const int KeysPerEntry = 10_000;

    /// <summary>Checkpoints in one entry at most.</summary>
    public const int CheckpointsPerEntry = 1000;

    private const int EntriesInFlightMax = 2;
    private const long CheckpointEveryMin = 500;

    private readonly Dictionary<long, Held> _held = [];
    private readonly Queue<Held> _expired = new();
    private readonly Queue<Held> _due = new();
    private readonly Queue<Held> _toClear = new();
    private readonly Queue<ulong> _inFlight = new();
    private readonly double _stretch = 1 + clockDriftMax;
    private readonly long _worthTelling = (long)(CheckpointEveryMin / (1 + clockDriftMax)); // what passes of a lease between two checkpoints at least
    private TimerWheel _wheel = new(0);
    private ulong _knownThrough;

    /// <summary>The term this member keeps the time in; 0: in none.</summary>
    public ulong Term { get; private set; }

    public int Count => _held.Count;

    /// <summary>Takes office: the state holds an entry of the term, so everything that was granted or revoked before it.</summary>
    public void Promote(ulong term, StoreView view, long now)
    {
        Resign();
        Term = term;
        _knownThrough = view.AppliedIndex;
        _wheel = new TimerWheel(now);
        foreach (Lease lease in view.Leases.All)
        {
            long remaining = KnownBugs.LeaseBegunAnewByEachLeader ? lease.TtlMilliseconds : lease.RemainingMilliseconds;
            Hold(new Held(lease.Id, lease.TtlMilliseconds, lease.RemainingMilliseconds), now, remaining, Every(lease.TtlMilliseconds));
        }
    }

    /// <summary>Leaves office: forgets everything.</summary>
    public void Resign()
    {
        Term = 0;
        _held.Clear();
        _expired.Clear();
        _due.Clear();
        _toClear.Clear();
        _inFlight.Clear();
        _wheel = new TimerWheel(0);
    }

    /// <summary>A lease has changed in the replicated state.</summary>
    public void Hear(in LeaseNews news, long now)
    {
        if (Term == 0 || news.Index <= _knownThrough)
        {
            return;
        }

        Held? held = _held.GetValueOrDefault(news.Id);
        switch (news.Change)
        {
            case LeaseChange.Granted:
                Invariant.Check(held is null, $"lease {news.Id} is granted twice");
                Hold(new Held(news.Id, news.TtlMilliseconds, news.TtlMilliseconds), now, news.TtlMilliseconds, First(news.TtlMilliseconds));
                break;
            case LeaseChange.Checkpointed when held is not null:
                held.Replicated = news.RemainingMilliseconds;
                held.CheckpointsInFlight = Math.Max(0, held.CheckpointsInFlight - 1);
                held.IsBeingCleared &= held.CheckpointsInFlight > 0 || held.Replicated < held.Ttl;
                break;
            case LeaseChange.Ended when held is not null:
                _held.Remove(news.Id);
                _wheel.Remove(held);
                held.State = LeaseState.Gone;
                break;
        }
    }

    /// <summary>
    /// Renews a lease. The caller has made sure that this member led after it was asked, and that the state holds whatever was acknowledged before.
    /// </summary>
    public Renewal TryRenew(long id, long now, out long ttlMilliseconds)
    {
        ttlMilliseconds = 0;
        if (!_held.TryGetValue(id, out Held? held))
        {
            return Renewal.Unknown;
        }

        ttlMilliseconds = held.Ttl;
        if (held.State == LeaseState.Revoking)
        {
            return KnownBugs.RenewedWhileRevoked ? Renewal.Done : Renewal.Waits;
        }

        // One that has run out and has not been proposed for revocation is not lost: nobody has been told.
        held.State = LeaseState.Alive;
        held.Deadline = now + Stretched(held.Ttl);
        held.CheckpointAt = now + First(held.Ttl);
        Wait(held);
        bool isAllThere = held is { CheckpointsInFlight: 0, IsBeingCleared: false } && held.Replicated == held.Ttl;
        if (isAllThere || KnownBugs.RenewalLeavesCheckpoint)
        {
            return Renewal.Done;
        }

        if (!held.IsBeingCleared)
        {
            held.IsBeingCleared = true;
            _toClear.Enqueue(held);
        }

        return Renewal.Waits;
    }

    /// <summary>
    /// A renewal has come in time, and is answered once the state holds whatever was acknowledged before: until then the lease, if it is there, does not run out for want of it.
    /// </summary>
    public void Defer(long id, long now)
    {
        if (_held.TryGetValue(id, out Held? held) && held.State != LeaseState.Revoking)
        {
            held.State = LeaseState.Alive;
            held.Deadline = now + Stretched(held.Ttl);
            Wait(held);
        }
    }

    /// <summary>What a lease was granted and has left, in milliseconds; null: there is no such lease.</summary>
    public (long Granted, long Remaining)? Find(long id, long now) =>
        _held.TryGetValue(id, out Held? held) ? (held.Ttl, Remaining(held, now)) : null;

    /// <summary>The time has come to <paramref name="now"/>.</summary>
    public void Advance(long now)
    {
        if (Term != 0)
        {
            _wheel.Advance(now, timer => Fire((Held)timer, now));
        }
    }

    /// <summary>
    /// What the leader should append next, before anything else; null: nothing, or enough is under way. <see cref="Proposed"/> or <see cref="PutBack"/> must follow.
    /// </summary>
    public StoreRequest? Propose(StoreView view, long now)
    {
        while (_inFlight.TryPeek(out ulong index) && index <= view.AppliedIndex)
        {
            _inFlight.Dequeue();
        }

        if (Term == 0 || _inFlight.Count >= EntriesInFlightMax)
        {
            return null;
        }

        return (StoreRequest?)MakeExpiry(view) ?? MakeCheckpoint(now);
    }

    /// <summary>What was made last is in the log.</summary>
    public void Proposed(ulong index) => _inFlight.Enqueue(index);

    /// <summary>What was made last could not be appended: it will be made again.</summary>
    public void PutBack(StoreRequest request)
    {
        switch (request)
        {
            case ExpireLeasesRequest expire:
                foreach (long id in expire.Ids)
                {
                    Expire(_held[id]);
                }

                break;
            case CheckpointLeasesRequest checkpoint:
                foreach (LeaseCheckpoint lease in checkpoint.Leases)
                {
                    Held held = _held[lease.Id];
                    held.CheckpointsInFlight--;
                    (held.IsBeingCleared ? _toClear : _due).Enqueue(held);
                }

                break;
        }
    }

    /// <summary>When the log learns for the first time what is left: later than any client renews that does so at each third.</summary>
    private static long First(long ttl) => Math.Max(ttl * 2 / 5, CheckpointEveryMin);

    private static long Every(long ttl) => Math.Max(ttl / 10, CheckpointEveryMin);

    private long Stretched(long milliseconds) => (long)Math.Ceiling(milliseconds * _stretch);

    private long Remaining(Held held, long now) => Math.Clamp((long)Math.Ceiling((held.Deadline - now) / _stretch), 0, held.Ttl);

    private void Hold(Held held, long now, long remaining, long checkpointIn)
    {
        _held.Add(held.Id, held);
        held.Deadline = now + Stretched(remaining);
        held.CheckpointAt = now + checkpointIn;
        Wait(held);
    }

    /// <summary>A renewal only moves the times: the timer is looked at when it fires, and a lease that is renewed costs the wheel one turn in its time to live.</summary>
    private void Wait(Held held)
    {
        long due = Math.Min(held.Deadline, held.CheckpointAt);
        if (held.Place >= 0 && held.Due > due)
        {
            _wheel.Remove(held);
        }

        if (held.Place < 0)
        {
            _wheel.Add(held, due);
        }
    }

    private void Fire(Held held, long now)
    {
        if (held.Deadline <= now)
        {
            Expire(held);
            return;
        }

        if (held.CheckpointAt <= now)
        {
            held.CheckpointAt = now + Every(held.Ttl);
            _due.Enqueue(held);
        }

        Wait(held);
    }

    private void Expire(Held held)
    {
        held.State = LeaseState.Expired;
        _expired.Enqueue(held);
    }

    private ExpireLeasesRequest? MakeExpiry(StoreView view)
    {
        var ids = new List<long>();
        int keys = 0;
        while (ids.Count < ExpiredPerEntry && _expired.TryPeek(out Held? held))
        {
            int more = view.Leases.Find(held.Id)?.Keys.Count ?? 0;
            if (ids.Count > 0 && keys + more > KeysPerEntry)
            {
                break;
            }

            _expired.Dequeue();
            if (held.State == LeaseState.Expired) // Neither gone nor renewed since.
            {
                held.State = LeaseState.Revoking;
                ids.Add(held.Id);
                keys += more;
            }
        }

        return ids.Count == 0 ? null : new ExpireLeasesRequest(Term, ids);
    }

    private CheckpointLeasesRequest? MakeCheckpoint(long now)
    {
        var leases = new List<LeaseCheckpoint>();
        while (leases.Count < CheckpointsPerEntry && _toClear.TryDequeue(out Held? cleared))
        {
            if (cleared.State is LeaseState.Alive or LeaseState.Expired)
            {
                cleared.CheckpointsInFlight++;
                leases.Add(new LeaseCheckpoint(cleared.Id, cleared.Ttl));
            }
        }

        while (leases.Count < CheckpointsPerEntry && _due.TryDequeue(out Held? held))
        {
            // Renewed since, or about to be: there is nothing to tell.
            long remaining = Remaining(held, now);
            if (held is { State: LeaseState.Alive, CheckpointsInFlight: 0, IsBeingCleared: false } && remaining <= held.Replicated - _worthTelling)
            {
                held.CheckpointsInFlight++;
                leases.Add(new LeaseCheckpoint(held.Id, remaining));
            }
        }

        return leases.Count == 0 ? null : new CheckpointLeasesRequest(Term, leases);
    }

    private enum LeaseState
    {
        Alive,

        /// <summary>It has run out and stands in line to be revoked.</summary>
        Expired,

        /// <summary>Its revocation is in the log.</summary>
        Revoking,

        Gone,
    }

    /// <summary>One lease under this leader.</summary>
    private sealed class Held(long id, long ttl, long replicated) : Timed
    {
        public long Id { get; } = id;

        /// <summary>What it was granted.</summary>
        public long Ttl { get; } = ttl;

        /// <summary>What the replicated state says it has left.</summary>
        public long Replicated { get; set; } = replicated;

        public LeaseState State { get; set; }

        /// <summary>When it runs out.</summary>
        public long Deadline { get; set; }

        /// <summary>When the log should learn what it has left.</summary>
        public long CheckpointAt { get; set; }

        public int CheckpointsInFlight { get; set; }

        /// <summary>A renewal waits until the log says that all of it is left.</summary>
        public bool IsBeingCleared { get; set; }
    }
}
