using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Watches;

/// <summary>
/// The watch loop. Follows the log of events behind the apply loop, which only signals it, and tells watchers: those that are up to date together, a slice of
/// revisions at a time, by the index; those that are behind one by one, in turns, from the log. A watcher whose queue is full is behind from then on, and nobody waits for it.
/// <para>
/// Invariants: every watcher in the index was told, or will be within this slice, of everything up to <see cref="_matched"/> that it asked for; history from
/// there on is held back (<see cref="HistoryHold"/>) while the index holds anybody. For those that are behind history is held back only while it is being read: a
/// compaction that overtakes them ends them.
/// </para>
/// </summary>
internal sealed class WatchHub : ILoop
{
    private const int SliceRevisions = 512;
    private const int SliceEvents = 4096;
    private const int SliceBytes = 1 << 20;

    /// <summary>What is read at once for one watcher that is behind: as much as it may hold for as long as nobody takes it.</summary>
    private const int CatchUpBytes = 128 << 10;
    private const int TurnsPerRun = 16;
    private const int ShareBytesMin = 4 << 10;

    private readonly ConcurrentQueue<Command> _inbox = new();
    private readonly ConcurrentQueue<ProgressQuestion> _questions = new();
    private readonly Dictionary<long, Watcher> _watchers = [];
    private readonly WatchIndex _index = new();
    private readonly Queue<Watcher> _behind = new();
    private readonly SortedSet<(long Due, long Id)> _progress = []; // of watches that are there: one that goes takes its place with it
    private readonly List<Watcher> _found = [];
    private readonly List<Watcher> _touched = [];
    private readonly List<(WatchResponse Response, long Bytes)> _responses = [];
    private readonly Queue<Action> _toRing = new();
    private readonly WatchParts _parts;
    private MvccStore _store;
    private long _matched;
    private long _ids;
    private long _queuedBytes;
    private int _count;
    private int _requireLeader;
    private long _leaderCheck = long.MaxValue;
    private long _leaderlessSince = long.MaxValue;
    private long _compactionSaid;

    public WatchHub(WatchParts parts)
    {
        _parts = parts;
        _store = parts.Stores.Current;
        _matched = _store.View.Revision;
    }

    private enum CommandKind
    {
        Add,
        Room,
        Leave,
    }

    private sealed record ProgressQuestion(Watcher[] Watchers, Action<Revision?> Answer);

    private readonly record struct Command(CommandKind Kind, Watcher Watcher);

    public string Name => "watch";

    public long NextWake => _parts.Failure.IsFailed ? long.MaxValue : Math.Min(_leaderCheck, _progress.Count > 0 ? _progress.Min.Due : long.MaxValue);

    /// <summary>Watches that somebody holds; 0 at rest.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>
    /// What one that catches up is given in any case, where it waits: its share of what all may have, 4 KiB at least, and the event with which it comes to that. So all together have at most twice
    /// what they may have, as long as that is 4 KiB for each. One that takes no parts (<see cref="WatchRequest.Fragment"/>) is given all of the revision with which it comes to that, however long it is.
    /// </summary>
    public long ShareBytes => Math.Clamp(_parts.Options.TotalBytesMax / Math.Max(1, Count), ShareBytesMin, CatchUpBytes);

    /// <summary>Bytes of events that wait for those they are for, or are in their hands. An event counts for each.</summary>
    public long QueuedBytes => Interlocked.Read(ref _queuedBytes);

    /// <summary>Begins a watch. Any thread. Its first response waits in it already.</summary>
    public Watcher Open(WatchRequest request, WatchFilter filter, CancellationToken first, CancellationToken second, Action? ready = null)
    {
        Interlocked.Increment(ref _count);
        StoreView view = _parts.Stores.Current.View;
        var watcher = new Watcher(
            this, Interlocked.Increment(ref _ids), request, filter, _parts.Options.QueueBytesMax, _parts.RunContinuationsAsynchronously, ready)
        {
            Next = request.StartRevision.Value == 0 ? view.Revision + 1 : request.StartRevision.Value,
        };
        watcher.Tell([(new WatchResponse { Header = Header(view.Revision), IsCreated = true }, 0)], isLeast: true);
        Post(new Command(CommandKind.Add, watcher));
        watcher.Obey(first, second);
        return watcher;
    }

    /// <summary>Asks up to where all of them have been told, once none is behind. Any thread. The answer is called once, by the loop; null: they have all ended.</summary>
    public void AskProgress(IReadOnlyCollection<WatchFeed> feeds, Action<Revision?> answer)
    {
        _questions.Enqueue(new ProgressQuestion([.. feeds.Select(feed => feed.Watcher)], answer));
        _parts.Signal.Set();
    }

    /// <summary>The watcher, which was refused something, has room again. Any thread.</summary>
    public void Demand(Watcher watcher) => Post(new Command(CommandKind.Room, watcher));

    /// <summary>Nobody looks at the watcher any more. Any thread.</summary>
    public void Leave(Watcher watcher) => Post(new Command(CommandKind.Leave, watcher));

    /// <summary>A view was published. The apply loop's, and cheap where nobody watches.</summary>
    public void Published()
    {
        // Either this sees the watcher that is just being opened, or that one's first look sees the view.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _count) > 0)
        {
            _parts.Signal.Set();
        }
    }

    public void Wake() => _parts.Signal.Set();

    public bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref _queuedBytes, bytes) <= _parts.Options.TotalBytesMax || bytes == 0)
        {
            return true;
        }

        Interlocked.Add(ref _queuedBytes, -bytes);
        return false;
    }

    /// <summary>Counts what is given beyond all bounds.</summary>
    public void Reserve(long bytes) => Interlocked.Add(ref _queuedBytes, bytes);

    public void Release(long bytes) => Interlocked.Add(ref _queuedBytes, -bytes);

    public bool RunOnce()
    {
        if (_parts.Failure.IsFailed)
        {
            EndAll(_parts.Failure.ToException(Outcome.NotApplied));
            return false;
        }

        bool worked = TakeInbox();
        _store = _parts.Stores.Current;
        if (_store.View.IsHollow && _watchers.Count > 0)
        {
            EndAll(new MetaStoreException(MetaStoreError.WitnessMember, "this member is a witness: it holds no data to watch; ask another member"));
        }

        worked |= ReadEvents();
        RingAll(); // Before the answers: who hears how far all have been told has heard that there is something to take.
        AnswerQuestions();
        LookForLeader();
        worked |= SayProgress() | SayCompaction();
        RingAll();
        return worked;
    }

    /// <summary>The listener is to be told, once this loop looks at no memory any more: what it does is not this loop's.</summary>
    public void Ring(Action listener) => _toRing.Enqueue(listener);

    /// <summary>Ends all watches with the error. The loop runs no more, or is the one that calls.</summary>
    public void EndAll(Exception error)
    {
        TakeInbox();
        foreach (Watcher watcher in _watchers.Values.ToArray())
        {
            End(watcher, error);
        }

        RingAll();
        AnswerQuestions();
    }

    /// <summary>Tells those who are up to date of what is new, and some of those who are behind of some more.</summary>
    private bool ReadEvents()
    {
        using ReadSection section = _store.Memory.Enter();
        StoreView view = _store.View;
        if (_index.Count == 0)
        {
            _matched = view.Revision;
            _store.Hold.Revision = long.MaxValue;
        }

        bool worked = MatchSlice(view);
        for (int turn = Math.Min(_behind.Count, TurnsPerRun); turn > 0; turn--)
        {
            CatchUp(_behind.Dequeue());
            worked = true;
        }

        return worked;
    }

    private void RingAll()
    {
        while (_toRing.TryDequeue(out Action? listener))
        {
            listener();
        }
    }

    private void Post(in Command command)
    {
        _inbox.Enqueue(command);
        _parts.Signal.Set();
    }

    private ResponseHeader Header(long revision) => new(_parts.ClusterId, _parts.NodeId, new Revision(revision), _parts.Term());

    private bool TakeInbox()
    {
        bool worked = false;
        while (_inbox.TryDequeue(out Command command))
        {
            worked = true;
            Watcher watcher = command.Watcher;
            switch (command.Kind)
            {
                case CommandKind.Add:
                    _watchers.Add(watcher.Id, watcher);
                    watcher.ToldUpTo = watcher.Next - (watcher.Request.StartRevision.Value == 0 ? 2 : 1);
                    _behind.Enqueue(watcher);
                    _requireLeader += watcher.Request.RequireLeader ? 1 : 0;
                    PlanProgress(watcher);
                    break;
                case CommandKind.Room when !watcher.IsGone:
                    _behind.Enqueue(watcher);
                    SayCompaction(watcher, _compactionSaid); // If it was up to date, what it was refused was word of that.
                    break;
                case CommandKind.Leave when !watcher.IsGone:
                    Remove(watcher);
                    break;
            }
        }

        return worked;
    }

    /// <summary>
    /// Whoever asks while one of its watches is behind waits until none is: that one has turns to come. So it does where this loop itself is behind the revision that a watch begins after. Those
    /// that have ended ask for nothing, and one that begins in the future has been told everything.
    /// </summary>
    private void AnswerQuestions()
    {
        for (int left = _questions.Count; left > 0 && _questions.TryDequeue(out ProgressQuestion? question); left--)
        {
            if (Array.TrueForAll(question.Watchers, watcher => watcher.IsGone))
            {
                question.Answer(null);
            }
            else if (Array.TrueForAll(question.Watchers, watcher => watcher.IsGone || (watcher.IsSynced && !BeginsAhead(watcher))))
            {
                question.Answer(new Revision(_matched));
            }
            else
            {
                _questions.Enqueue(question);
            }
        }
    }

    /// <summary>Whether the watch begins with a revision that there is, and that this loop has not come to.</summary>
    private bool BeginsAhead(Watcher watcher) => watcher.Next > _matched + 1 && watcher.Next <= _store.View.Revision + 1;

    private void Remove(Watcher watcher)
    {
        watcher.IsGone = true;
        _watchers.Remove(watcher.Id);
        _progress.Remove((watcher.ProgressDue, watcher.Id));
        _requireLeader -= watcher.Request.RequireLeader ? 1 : 0;
        if (watcher.IsSynced)
        {
            watcher.IsSynced = false;
            _index.Remove(watcher);
        }

        Interlocked.Decrement(ref _count);
    }

    private void End(Watcher watcher, Exception error)
    {
        Remove(watcher);
        watcher.End(error);
    }

    private void EndCompacted(Watcher watcher, long next, long compactRevision) => End(watcher, new CompactedException(
        $"required revision has been compacted: revision {next} is to be told next, and {compactRevision} is the oldest there is", new Revision(compactRevision)));

    /// <summary>Tells those who are up to date of some more revisions; false where there are none.</summary>
    private bool MatchSlice(StoreView view)
    {
        if (_index.Count > 0 && _matched + 1 < view.CompactRevision && _store.Events.Read(_matched + 1).IsEmpty)
        {
            SkipTo(view.CompactRevision);
        }

        if (_index.Count == 0 || _matched >= view.Revision)
        {
            return false;
        }

        int events = 0;
        long bytes = 0;
        long last = Math.Min(view.Revision, _matched + SliceRevisions);
        for (long revision = _matched + 1; revision <= last; revision++)
        {
            foreach (ref readonly LoggedEvent logged in Read(revision))
            {
                bytes += Match(logged, revision);
                events++;
            }

            if (events >= SliceEvents || bytes >= SliceBytes)
            {
                last = revision;
            }
        }

        _matched = last;
        foreach (Watcher watcher in _touched)
        {
            // One that waits gets it in any case: it is there already, for all whom it is for.
            if (Tell(watcher, watcher.Pending, watcher.PendingBytes, last, isLeast: true) != Told.All)
            {
                FallBehind(watcher);
            }

            watcher.Pending = [];
            watcher.PendingBytes = 0;
        }

        _touched.Clear();
        _store.Hold.Revision = HoldOfIndex();
        return true;
    }

    /// <summary>A snapshot took the place of the store, and what is between is not in it: whoever wanted to be told of that has to know.</summary>
    private void SkipTo(long compactRevision)
    {
        foreach (Watcher watcher in _watchers.Values.ToArray())
        {
            long next = Math.Max(watcher.Next, _matched + 1);
            if (watcher.IsSynced && next < compactRevision)
            {
                EndCompacted(watcher, next, compactRevision);
            }
        }

        _matched = compactRevision - 1;
    }

    /// <summary>
    /// What a revision that is held back changed: something, or it would be no revision. But for the one that a restore with a higher revision begins with, up to which all is compacted.
    /// </summary>
    private ReadOnlySpan<LoggedEvent> Read(long revision)
    {
        ReadOnlySpan<LoggedEvent> events = _store.Events.Read(revision);
        Invariant.Check(!events.IsEmpty || revision <= Revision.First.Value || revision == _store.CompactedAtLoad, $"the log of events knows nothing of revision {revision}, of {_store.View.CompactRevision} to {_store.View.Revision}");
        return events;
    }

    /// <summary>Notes the event with all it is for. Returns the bytes that this made.</summary>
    private long Match(in LoggedEvent logged, long revision)
    {
        _found.Clear();
        _index.Find(logged.Record.Key, _found);
        var shared = new SharedEvent(logged);
        int bytes = 0;
        foreach (Watcher watcher in _found)
        {
            bool isWanted = revision >= watcher.Next || KnownBugs.FutureWatchToldOfThePast;
            if (!isWanted || !shared.Passes(watcher.Filter))
            {
                continue;
            }

            WatchEvent e = shared.For(watcher.Filter);
            bytes = Watcher.BytesOf(e);
            if (watcher.Pending.Count == 0)
            {
                watcher.PendingFirst = revision;
                _touched.Add(watcher);
            }

            watcher.Pending.Add(e);
            watcher.PendingBytes += bytes;
        }

        return bytes;
    }

    private void FallBehind(Watcher watcher)
    {
        (watcher.Next, watcher.NextWithin) = (watcher.PendingFirst, 0);
        watcher.IsSynced = false;
        _index.Remove(watcher);
    }

    /// <summary>A turn of one that is behind: some more revisions from the log, or the end of being behind.</summary>
    private void CatchUp(Watcher watcher)
    {
        if (watcher.IsGone || watcher.IsSynced)
        {
            return;
        }

        if (watcher.Next > _matched)
        {
            Sync(watcher);
            return;
        }

        // Held first, looked at then: see HistoryHold.
        _store.Hold.Revision = Math.Min(HoldOfIndex(), watcher.Next - 1);
        long compactRevision = _store.View.CompactRevision;
        if (watcher.Next < Math.Max(compactRevision, 1))
        {
            EndCompacted(watcher, watcher.Next, compactRevision);
        }
        else if (ReadOn(watcher))
        {
            _behind.Enqueue(watcher);
        }

        _store.Hold.Revision = HoldOfIndex();
    }

    /// <summary>Tells it of a slice of revisions, of a small one where memory is short; false where it has no room, and will ask again.</summary>
    private bool ReadOn(Watcher watcher)
    {
        long bytesMax = _parts.Options.TotalBytesMax;
        bool isShort = QueuedBytes > bytesMax - Math.Min(CatchUpBytes, bytesMax / 2);
        Told told = isShort ? Told.NothingWaits : ReadOn(watcher, CatchUpBytes, isLeast: false);
        if (told == Told.NothingWaits)
        {
            told = ReadOn(watcher, ShareBytes, isLeast: true);
        }

        return told == Told.All;
    }

    private Told ReadOn(Watcher watcher, long bytesMax, bool isLeast)
    {
        List<WatchEvent> events = [];
        long bytes = 0;
        int looked = 0;
        int within = watcher.NextWithin;
        bool isRest = within > 0; // Parts end with their revision: who puts them together holds no more than that.
        bool isPart = false;
        long revision = watcher.Next;
        while (revision <= _matched && looked < SliceEvents && bytes < bytesMax)
        {
            ReadOnlySpan<LoggedEvent> changes = Read(revision);
            looked += changes.Length - within;
            (int Count, long Bytes) before = (events.Count, bytes);
            int end = ReadOn(watcher, changes, within, bytesMax, events, ref bytes);
            isPart = end < changes.Length;
            if (isPart && before.Count > 0)
            {
                // It does not fit behind others: the next slice begins with it.
                events.RemoveRange(before.Count, events.Count - before.Count);
                (bytes, isPart) = (before.Bytes, false);
                break;
            }

            within = isPart ? end : 0;
            revision += isPart ? 0 : 1;
            if (isPart || isRest)
            {
                break;
            }
        }

        Told told = events.Count == 0 ? Told.All : Tell(watcher, events, bytes, isPart ? revision : revision - 1, isLeast, isPart);
        if (told == Told.All)
        {
            (watcher.Next, watcher.NextWithin) = (revision, within);
        }

        return told;
    }

    /// <summary>Reads what a revision changed, from <paramref name="within"/> on. Returns where it has come to: before the end only with something that it is to be told of, and that is too much for now.</summary>
    private static int ReadOn(Watcher watcher, ReadOnlySpan<LoggedEvent> changes, int within, long bytesMax, List<WatchEvent> events, ref long bytes)
    {
        Invariant.Check(within <= changes.Length, $"a watch was told of {within} changes of a revision that has {changes.Length}");
        for (; within < changes.Length; within++)
        {
            var shared = new SharedEvent(changes[within]);
            if (!watcher.Filter.Range.Contains(changes[within].Record.Key) || !shared.Passes(watcher.Filter))
            {
                continue;
            }

            if (bytes >= bytesMax && watcher.Request.Fragment)
            {
                break;
            }

            WatchEvent e = shared.For(watcher.Filter);
            events.Add(e);
            bytes += Watcher.BytesOf(e);
        }

        return within;
    }

    /// <summary>It is up to date: from here on the index knows it.</summary>
    private void Sync(Watcher watcher)
    {
        // Nothing was held back while nobody was in the index: what came and was compacted since then may be gone.
        if (_index.Count == 0 && !_store.Hold.TryHoldBehind(_matched, _store, _parts.Stores))
        {
            _matched = _store.View.Revision;
            _behind.Enqueue(watcher);
            return;
        }

        watcher.IsSynced = true;
        _index.Add(watcher);
        SayCompaction(watcher, _store.View.CompactRevision);
    }

    private long HoldOfIndex() => _index.Count == 0 ? long.MaxValue : _matched;

    /// <param name="watcher">Who is told.</param>
    /// <param name="events">What happened.</param>
    /// <param name="bytes">What that takes.</param>
    /// <param name="upTo">The last revision of it, or a later one that brought it nothing.</param>
    /// <param name="isLeast">There is no less to be told.</param>
    /// <param name="isPart">There is more of the last revision, which comes with the next.</param>
    private Told Tell(Watcher watcher, List<WatchEvent> events, long bytes, long upTo, bool isLeast, bool isPart = false)
    {
        _responses.Clear();
        ResponseHeader header = Header(upTo);
        int first = 0;
        if (watcher.Request.Fragment && bytes > _parts.Options.FragmentBytes)
        {
            long size = 0;
            for (int i = 0; i < events.Count; i++)
            {
                size += Watcher.BytesOf(events[i]);
                if (size > _parts.Options.FragmentBytes && i > first)
                {
                    long own = Watcher.BytesOf(size - Watcher.BytesOf(events[i]));
                    _responses.Add((new WatchResponse { Header = header, Fragment = true, Events = events[first..i] }, own));
                    bytes -= size - Watcher.BytesOf(events[i]);
                    (first, size) = (i, Watcher.BytesOf(events[i]));
                }
            }
        }

        _responses.Add((new WatchResponse { Header = header, Fragment = isPart, Events = first == 0 ? events : events[first..] }, Watcher.BytesOf(bytes)));
        watcher.WasTold = true;
        Told told = watcher.Tell(CollectionsMarshal.AsSpan(_responses), isLeast);
        watcher.ToldUpTo = told == Told.All && !isPart ? events[^1].KeyValue.ModRevision.Value : watcher.ToldUpTo; // Who puts parts together knows nothing before the last.
        return told;
    }

    /// <summary>Ends those who want to be told by a node that hears of what happens, once this one has been cut off for long.</summary>
    private void LookForLeader()
    {
        if (_requireLeader == 0 || _parts.HasLeader())
        {
            _leaderlessSince = long.MaxValue;
        }

        long now = _parts.Time.GetTimestamp();
        if (_requireLeader == 0 || now < _leaderCheck)
        {
            _leaderCheck = _requireLeader == 0 ? long.MaxValue : Math.Min(_leaderCheck, now + _parts.LeaderPatience);
            return;
        }

        _leaderCheck = now + (_parts.LeaderPatience / 3);
        if (_parts.HasLeader())
        {
            return;
        }

        _leaderlessSince = Math.Min(_leaderlessSince, now);
        if (now - _leaderlessSince < _parts.LeaderPatience)
        {
            return;
        }

        foreach (Watcher watcher in _watchers.Values.Where(watcher => watcher.Request.RequireLeader).ToArray())
        {
            End(watcher, new MetaStoreException(MetaStoreError.NoLeader, "this node has known no leader for so long that it may be cut off; ask another one"));
        }
    }

    /// <summary>Watches that have a place among those that are to hear how far they are. Only for tests.</summary>
    internal int ProgressPlanned => _progress.Count;

    private void PlanProgress(Watcher watcher)
    {
        if (watcher.Request.ProgressNotify)
        {
            // Up to a tenth longer, so that those who began together do not ask for their word together for ever.
            TimeSpan interval = _parts.Options.ProgressInterval * (1 + (0.1 * (watcher.Id * 7919 % 1000) / 1000));
            long due = _parts.Time.GetTimestamp() + (long)(interval.TotalSeconds * _parts.Time.TimestampFrequency);
            watcher.ProgressDue = due;
            _progress.Add((due, watcher.Id));
        }
    }

    private bool SayProgress()
    {
        bool worked = false;
        long now = _parts.Time.GetTimestamp();
        while (_progress.Count > 0 && _progress.Min is var next && next.Due <= now)
        {
            _progress.Remove(next);
            Watcher watcher = _watchers[next.Id];

            // One that is behind was not told of everything yet, one that begins later has nothing to be told of.
            if ((watcher.IsSynced && watcher.Next <= _matched + 1 && !watcher.WasTold) || KnownBugs.ProgressOvertakesEvents)
            {
                TellProgress(watcher, KnownBugs.ProgressOvertakesEvents ? _store.View.Revision : _matched);
            }

            watcher.WasTold = false;
            if (!watcher.IsGone)
            {
                PlanProgress(watcher);
            }

            worked = true;
        }

        return worked;
    }

    /// <summary>
    /// Whoever asked to hear how far it is hears it when history is compacted beyond what it knows, too: else it could not go on from there once it has lost this node, though it has missed nothing.
    /// </summary>
    private bool SayCompaction()
    {
        long compacted = _store.View.CompactRevision;
        if (compacted <= _compactionSaid || compacted > _matched)
        {
            return false;
        }

        _compactionSaid = compacted;
        foreach ((_, long id) in _progress)
        {
            SayCompaction(_watchers[id], compacted);
        }

        return true;
    }

    private void SayCompaction(Watcher watcher, long compacted)
    {
        if (watcher.Request.ProgressNotify && watcher.IsSynced && watcher.Next <= _matched + 1 && watcher.ToldUpTo + 1 < compacted)
        {
            watcher.WasTold |= TellProgress(watcher, _matched) == Told.All;
        }
    }

    private Told TellProgress(Watcher watcher, long upTo)
    {
        Told told = watcher.Tell([(new WatchResponse { Header = Header(upTo), IsProgress = true }, Watcher.BytesOf(0L))], isLeast: true);
        watcher.ToldUpTo = told == Told.All ? upTo : watcher.ToldUpTo;
        return told;
    }
}

/// <summary>What a <see cref="WatchHub"/> is joined to.</summary>
internal sealed class WatchParts
{
    public required WatchOptions Options { get; init; }

    public required StoreHolder Stores { get; init; }

    public required NodeFailure Failure { get; init; }

    public required ILoopSignal Signal { get; init; }

    public required TimeProvider Time { get; init; }

    public required ulong ClusterId { get; init; }

    public required ulong NodeId { get; init; }

    public required Func<ulong> Term { get; init; }

    /// <summary>Whether the node knows who leads.</summary>
    public required Func<bool> HasLeader { get; init; }

    /// <summary>How long it may know of none before <see cref="WatchRequest.RequireLeader"/> counts, by the clock's timestamps.</summary>
    public required long LeaderPatience { get; init; }

    /// <summary>False in the simulator, where there is one thread.</summary>
    public required bool RunContinuationsAsynchronously { get; init; }
}
