using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Differential;

/// <summary>
/// The same watches on a stream of etcd's and on one of this store's. Each watch must be told the same, in the same order; how the responses of several watches are mixed, how
/// many events one of them has, and which revision it knows of beyond theirs, is the server's affair. A watch of everything, which is the first, says which events each of the others has to be told.
/// </summary>
internal sealed class TwinWatches(GrpcClient theirs, GrpcClient ours) : IDisposable
{
    private readonly Side _theirs = new(theirs.Open(Say.Watch));
    private readonly Side _ours = new(ours.Open(Say.Watch));
    private readonly Dictionary<long, WatchCreateRequest> _live = [];
    private readonly Dictionary<long, int> _expected = [];
    private readonly List<Event> _history = [];
    private long _compacted;

    /// <summary>The watches that are there, without the one of everything.</summary>
    public IEnumerable<long> Ids => _live.Keys.Where(id => id != 0);

    /// <summary>Those that have ended, since what they began with was compacted. etcd goes on holding their ids for taken; here they are free.</summary>
    public HashSet<long> Compacted { get; } = [];

    /// <summary>Events that watches were to be told.</summary>
    public int EventsExpected { get; private set; }

    /// <summary>The watch of everything.</summary>
    public Task BeginAsync() => CreateAsync(new WatchCreateRequest { RangeEnd = ByteString.CopyFrom(0), PrevKv = true });

    /// <summary>From now on, what lies before the revision is not there.</summary>
    public void Compact(long revision) => _compacted = revision;

    public async Task AskAsync(WatchRequest request)
    {
        if (request.CancelRequest is { } cancel)
        {
            await CancelAsync(cancel.WatchId);
        }
        else
        {
            await CreateAsync(request.CreateRequest);
        }
    }

    /// <summary>Both have come to the revision: hears what is told of it, and compares.</summary>
    public async Task AdvanceAsync(long revision)
    {
        List<Event> all = _theirs.EventsOf(0);
        while (all.Count == 0 ? revision > 1 : all[^1].Kv.ModRevision < revision)
        {
            await _theirs.HearAsync();
        }

        foreach (Event e in all.Skip(_history.Count).ToArray())
        {
            _history.Add(e);
            foreach ((long id, WatchCreateRequest watch) in _live)
            {
                if (IsTold(watch, e))
                {
                    Expect(id, 1);
                    EventsExpected++;
                }
            }
        }

        await CompareAsync();
    }

    /// <summary>Ends all watches, so that whatever was told beyond what was to be told is seen.</summary>
    public async Task EndAsync()
    {
        foreach (long id in _live.Keys.ToArray())
        {
            await CancelAsync(id);
        }
    }

    public void Dispose()
    {
        _theirs.Dispose();
        _ours.Dispose();
    }

    private static bool IsTold(WatchCreateRequest watch, Event e)
    {
        bool isDelete = e.Type == Event.Types.EventType.Delete;
        WatchCreateRequest.Types.FilterType without = isDelete ? WatchCreateRequest.Types.FilterType.Nodelete : WatchCreateRequest.Types.FilterType.Noput;
        ReadOnlySpan<byte> key = e.Kv.Key.Span;
        ReadOnlySpan<byte> from = watch.Key.IsEmpty ? [0] : watch.Key.Span;
        ReadOnlySpan<byte> end = watch.RangeEnd.Span;
        bool isInRange = end.IsEmpty ? key.SequenceEqual(from) : key.SequenceCompareTo(from) >= 0 && (end is [0] || key.SequenceCompareTo(end) < 0);
        return isInRange && e.Kv.ModRevision >= watch.StartRevision && !watch.Filters.Contains(without);
    }

    private async Task CreateAsync(WatchCreateRequest create)
    {
        AskBoth(new WatchRequest { CreateRequest = create });
        WatchResponse created = await _theirs.HearAsync();
        Assert.True(created.Created, $"etcd says {created} to {create}");
        Expect(created.WatchId, 1);
        if (!created.Canceled)
        {
            if (create.StartRevision > 0 && create.StartRevision < _compacted)
            {
                Expect(created.WatchId, 1);
                Compacted.Add(created.WatchId);
            }
            else
            {
                _live.Add(created.WatchId, create);
                Expect(created.WatchId, create.StartRevision > 0 ? _history.Count(e => IsTold(create, e)) : 0);
            }
        }

        await CompareAsync();
    }

    private async Task CancelAsync(long id)
    {
        AskBoth(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = id } });
        if (_live.Remove(id))
        {
            Expect(id, 1);
        }

        await CompareAsync();
    }

    private void AskBoth(WatchRequest request)
    {
        _theirs.Ask(request);
        _ours.Ask(request);
    }

    private void Expect(long id, int words) => _expected[id] = _expected.GetValueOrDefault(id) + words;

    private async Task CompareAsync()
    {
        foreach ((long id, int words) in _expected)
        {
            List<string> expected = await _theirs.HearAsync(id, words);
            List<string> actual = await _ours.HearAsync(id, words);
            int equal = expected.Zip(actual).TakeWhile(pair => pair.First == pair.Second).Count();
            Assert.True(equal == expected.Count && equal == actual.Count, $"watch {id} was to be told {words} words, of which {equal} are equal, then\netcd: {At(expected, equal)}\nhere: {At(actual, equal)}");
        }
    }

    private static string At(List<string> words, int index) => index < words.Count ? words[index] : "nothing";

    /// <summary>One server's stream, and what it has told each watch.</summary>
    private sealed class Side(GrpcStream stream) : IDisposable
    {
        private readonly Dictionary<long, List<string>> _told = [];
        private readonly Dictionary<long, List<Event>> _events = [];

        public void Ask(WatchRequest request) => stream.Say(request);

        public List<Event> EventsOf(long id) => Of(_events, id);

        public async Task<List<string>> HearAsync(long id, int words)
        {
            List<string> told = Of(_told, id);
            while (told.Count < words)
            {
                await HearAsync();
            }

            return told;
        }

        public async Task<WatchResponse> HearAsync()
        {
            WatchResponse response = await stream.HearAsync(WatchResponse.Parser) ?? throw new InvalidOperationException("the stream of watches has ended");
            Assert.True(response.Header is { ClusterId: not 0, MemberId: not 0, RaftTerm: not 0 }, $"{response} does not say who gave it");
            List<string> told = Of(_told, response.WatchId);
            if (response.Created || response.Canceled)
            {
                WatchResponse word = response.Clone();
                word.Header = new ResponseHeader { Revision = response.Header.Revision };
                told.Add(word.ToString());
            }

            foreach (Event e in response.Events)
            {
                Assert.True(response.Header.Revision >= e.Kv.ModRevision, $"{response} tells more than it says it knows");
                told.Add(e.ToString());
            }

            Of(_events, response.WatchId).AddRange(response.Events);
            return response;
        }

        public void Dispose() => stream.Dispose();

        private static List<T> Of<T>(Dictionary<long, List<T>> lists, long id)
        {
            if (!lists.TryGetValue(id, out List<T>? list))
            {
                lists.Add(id, list = []);
            }

            return list;
        }
    }
}
