using MetaStore.Engine;

namespace MetaStore.Simulation;

/// <summary>
/// What all watches of a group were told, held against each other and against what clients were answered. etcd's guarantees: ordered, unique, reliable, atomic,
/// resumable, bookmarkable; and the previous state, and filters.
/// </summary>
internal sealed class WatchWitness
{
    /// <summary>So many events cannot all follow what was compacted just then.</summary>
    private const int PreviousWantedMin = 100;

    private readonly List<WatchAccount> _accounts = [];
    private int _previousWanted;
    private int _previousTold;

    /// <summary>What each revision did to each key, as first told by anybody.</summary>
    private readonly SortedDictionary<long, SortedDictionary<long, SeenEvent>> _events = [];

    private readonly Dictionary<string, long> _others = new(StringComparer.Ordinal);

    /// <summary>Events that were told, all watches together.</summary>
    public long Told { get; private set; }

    /// <summary>The key's number; of a key that has none of its own (of the clients with leases), one below 0.</summary>
    public long NumberOf(ReadOnlyMemory<byte> key)
    {
        long number = key.Length == 9 ? RegisterProjection.KeyNumber(key) : -1;
        if (number >= 0 && RegisterProjection.KeyOf(number).AsSpan().SequenceEqual(key.Span))
        {
            return number;
        }

        string name = Convert.ToHexString(key.Span);
        if (!_others.TryGetValue(name, out number))
        {
            _others.Add(name, number = -1 - _others.Count);
        }

        return number;
    }

    public WatchAccount Begin(WatchRequest request)
    {
        var account = new WatchAccount(this, request);
        _accounts.Add(account);
        return account;
    }

    /// <summary>The same event, whoever tells of it.</summary>
    public void Saw(WatchEvent e)
    {
        Told++;
        long revision = e.KeyValue.ModRevision.Value;
        long key = NumberOf(e.KeyValue.Key);
        bool isPut = e.Type == WatchEventType.Put;
        var seen = new SeenEvent(isPut ? RegisterProjection.ValueNumber(e.KeyValue.Value) : 0, e.KeyValue.Version, e.KeyValue.CreateRevision.Value, isPut);
        Require(!isPut || (e.KeyValue.Version == 1) == (e.KeyValue.CreateRevision.Value == revision), $"revision {revision} tells of key {key} of version {seen.Version}, created at {seen.Created}");
        Require(isPut || (seen.Version == 0 && seen.Created == 0 && e.KeyValue.Value.IsEmpty), $"revision {revision} removed key {key}, and tells of more than that");
        if (!_events.TryGetValue(revision, out SortedDictionary<long, SeenEvent>? keys))
        {
            _events.Add(revision, keys = []);
        }

        Require(keys.TryAdd(key, seen) || keys[key] == seen, $"two watches were told of two things that revision {revision} did to key {key}: {keys[key]} and {seen}");
    }

    /// <summary>Everything that has to be known is known: all watches have ended, or have been told up to their bookmarks.</summary>
    public void Check(IReadOnlyList<HistoryEntry> history)
    {
        List<(long Revision, long Key, long Value)> written = [.. history.Where(entry => !entry.HadNoEffect).SelectMany(RevisionWitness.WritesOf)];
        foreach ((long revision, long key, long value) in written)
        {
            if (_events.TryGetValue(revision, out SortedDictionary<long, SeenEvent>? keys) && keys.TryGetValue(key, out SeenEvent seen))
            {
                Require(seen.Value == value && seen.IsPut == (value != 0), $"revision {revision} wrote {value} under key {key}, and watches were told of {seen}");
            }
        }

        Require(_previousWanted < PreviousWantedMin || _previousTold > 0, $"of {_previousWanted} events of keys that were there before, none told what it followed");
        foreach (WatchAccount account in _accounts)
        {
            account.MustBeGapless();
            foreach ((long revision, long key, long value) in written)
            {
                account.MustHave(revision, key, isPut: value != 0);
            }

            foreach ((long revision, SortedDictionary<long, SeenEvent> keys) in _events)
            {
                foreach ((long key, SeenEvent seen) in keys)
                {
                    account.MustHave(revision, key, seen.IsPut);
                }
            }
        }
    }

    /// <summary>Of a watch that asked for it: the previous state is what the last revision before left, as far as anybody was told of that.</summary>
    public void CheckPrevious(WatchEvent e)
    {
        long revision = e.KeyValue.ModRevision.Value;
        _previousWanted += e.KeyValue.Version > 1 ? 1 : 0;
        if (e.Previous is not { } previous)
        {
            return; // It may have been compacted.
        }

        _previousTold++;
        long key = NumberOf(e.KeyValue.Key);
        Require(previous.ModRevision.Value < revision && previous.Key.Span.SequenceEqual(e.KeyValue.Key.Span), $"revision {revision} of key {key} follows one of {previous.ModRevision}");
        Require(e.Type == WatchEventType.Delete || (previous.CreateRevision == e.KeyValue.CreateRevision && previous.Version == e.KeyValue.Version - 1), $"revision {revision} of key {key}, version {e.KeyValue.Version}, follows version {previous.Version}");
        if (_events.TryGetValue(previous.ModRevision.Value, out SortedDictionary<long, SeenEvent>? keys) && keys.TryGetValue(key, out SeenEvent seen))
        {
            Require(seen.IsPut && seen.Value == RegisterProjection.ValueNumber(previous.Value), $"before revision {revision} key {key} was {RegisterProjection.ValueNumber(previous.Value)}; {seen} was told");
        }
    }

    internal static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new SimulationFailure(FailureKind.Correctness, what);
        }
    }

    private readonly record struct SeenEvent(long Value, long Version, long Created, bool IsPut);
}

/// <summary>What one watch was told, over all nodes that it was on.</summary>
internal sealed class WatchAccount(WatchWitness witness, WatchRequest request)
{
    private readonly HashSet<(long Revision, long Key)> _told = [];
    private long _start = request.StartRevision.Value;
    private long _lastTold;
    private long _partRevision;
    private int _partCount;
    private int _skip;
    private bool _isCreated;

    /// <summary>The first revision that it has not been told of.</summary>
    public long Next { get; private set; } = request.StartRevision.Value;

    /// <summary>Everything up to here was told.</summary>
    public long Bookmark => Next - 1;

    /// <summary>What to ask for, to go on where it stands.</summary>
    public WatchRequest Resume()
    {
        _skip = _partCount;
        _isCreated = false;
        return request with { StartRevision = new Revision(_partCount > 0 ? _partRevision : Next) };
    }

    public void Told(WatchResponse response)
    {
        long revision = response.Header.Revision.Value;
        WatchWitness.Require(response.IsCreated != _isCreated, $"a watch is created first, and once: {response}");
        _isCreated = true;
        if (response.IsCreated)
        {
            WatchWitness.Require(response.Events.Count == 0, "a watch is told of events while it is created");
            if (Next == 0)
            {
                (_start, Next) = (revision + 1, revision + 1);
            }

            return;
        }

        WatchWitness.Require(request.Fragment || !response.Fragment, "a response came in parts, which nobody asked for");
        WatchWitness.Require(response.IsProgress == (response.Events.Count == 0), "a response says nothing, or word of progress comes with events");
        long last = 0;
        foreach (WatchEvent e in response.Events)
        {
            WatchWitness.Require(e.KeyValue.ModRevision.Value >= last, $"revision {e.KeyValue.ModRevision} was told after {last}");
            last = e.KeyValue.ModRevision.Value;
            Told(e, response.Fragment);
        }

        WatchWitness.Require(revision >= last && revision >= Next - 1, $"a response up to {revision} came where {Next} is next, with events up to {last}");
        if (!response.Fragment)
        {
            // A node that is behind may vouch for less than another one has told a part of.
            Next = Math.Max(Next, revision + 1);
            (_partCount, _partRevision) = revision < _partRevision ? (_partCount, _partRevision) : (0, 0);
        }
    }

    /// <summary>The watch cannot go on: something that it was not told of is compacted.</summary>
    public void Compacted(long compactRevision)
    {
        long next = _partCount > 0 ? _partRevision : Next;
        WatchWitness.Require(next != 0 && next < compactRevision, $"a watch whose next revision is {next} ended, since what is before {compactRevision} is compacted");
    }

    /// <summary>An event that happened: if the watch vouched for that time, and it was asked for, it was told.</summary>
    public void MustHave(long revision, long key, bool isPut)
    {
        bool isAsked = revision >= _start && revision < Next && _start > 0 && Holds(key) && !(isPut ? request.NoPut : request.NoDelete);
        WatchWitness.Require(!isAsked || _told.Contains((revision, key)), $"a watch from {_start} that was told up to {Bookmark} was never told of revision {revision} of key {key}");
    }

    /// <summary>Each revision changes something: whoever watches everything has heard of each.</summary>
    public void MustBeGapless()
    {
        bool isOfAll = request.RangeEnd.Length == 1 && !request.NoPut && !request.NoDelete;
        long first = Math.Max(_start, 2);
        if (isOfAll && Next > first && _told.Count > 0)
        {
            long revisions = _told.Select(told => told.Revision).Where(revision => revision < Next).Distinct().LongCount();
            WatchWitness.Require(revisions == Next - first, $"a watch of everything from {_start} was told of {revisions} revisions, and that it had been told up to {Bookmark}");
        }
    }

    private void Told(WatchEvent e, bool isPart)
    {
        long revision = e.KeyValue.ModRevision.Value;
        long key = witness.NumberOf(e.KeyValue.Key);
        bool isPut = e.Type == WatchEventType.Put;
        bool isAgain = _skip > 0 && revision == _partRevision;
        if (isAgain)
        {
            _skip--;
            WatchWitness.Require(_told.Contains((revision, key)), $"revision {revision} is told in another order on another node: key {key} was not among the first");
        }
        else
        {
            WatchWitness.Require(_told.Add((revision, key)), $"revision {revision} of key {key} was told twice");
        }

        WatchWitness.Require(revision >= Next && revision >= _lastTold, $"revision {revision} was told where {Next} is next, after {_lastTold}");
        WatchWitness.Require(Holds(key) && !(isPut ? request.NoPut : request.NoDelete), $"revision {revision} of key {key} was not asked for");
        WatchWitness.Require(request.PreviousValue || e.Previous is null, "a previous state was told that was not asked for");
        witness.Saw(e);
        if (request.PreviousValue)
        {
            witness.CheckPrevious(e);
        }

        _lastTold = revision;
        if (isPart && !isAgain)
        {
            _partCount = revision == _partRevision ? _partCount + 1 : 1;
            _partRevision = revision;
        }
    }

    private bool Holds(long key)
    {
        ReadOnlySpan<byte> bytes = RegisterProjection.KeyOf(key);
        return request.RangeEnd.IsEmpty
            ? bytes.SequenceEqual(request.Key.Span)
            : bytes.SequenceCompareTo(request.Key.Span) >= 0 && (request.RangeEnd.Length == 1 || bytes.SequenceCompareTo(request.RangeEnd.Span) < 0);
    }
}
