using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>
/// A batch comes to what its operations come to one by one: state, revisions, events, answers. It is published as one.
/// </summary>
public sealed class BatchApplyTests
{
    [Fact]
    public void TestBatchApplyPut() => AssertSame([.. Enumerable.Range(0, 100).Select(i => Put($"k{i}", $"v{i}"))]);

    [Fact]
    public void TestBatchApplyDelete() => AssertSame(
    [
        .. Enumerable.Range(0, 50).Select(i => Put($"k{i:d2}", $"v{i}")),
        .. Enumerable.Range(0, 50).Select(i => Delete($"k{i:d2}", string.Empty)),
        Delete("k", "l"),
    ]);

    [Fact]
    public void TestBatchApplyMixed() => AssertSame(
    [
        Put("a", "1"), Put("b", "1"), Delete("a", string.Empty), Put("a", "2"),
        new TxnRequest { Compare = [Exists("a")], Success = [Put("c", "yes"), Delete("b", string.Empty), Put("a", "3")], Failure = [Put("c", "no")] },
        new LeaseGrantRequest(100, 7), Put("l", "1") with { LeaseId = 7 }, Put("l", "2") with { LeaseId = 8 }, new LeaseRevokeRequest(7),
        new CompactRequest(new Revision(3)), new CompactRequest(new Revision(99)), Put("missing", string.Empty) with { IgnoreValue = true },
    ]);

    [Theory]
    [InlineData(1, 6, 60, 50)]
    [InlineData(2, 6, 60, 50)]
    [InlineData(3, 6, 60, 50)]
    [InlineData(4, 6, 60, 50)]
    [InlineData(5, 600, 4000, 4)]
    [InlineData(6, 60, 4000, 4)]
    public void TestBatchApplyCorrectnessVsSingle(int seed, int keys, int lengthMax, int lists)
    {
        var random = new Random(seed);
        for (int list = 0; list < lists; list++)
        {
            AssertSame([.. Enumerable.Range(0, random.Next(1, lengthMax)).Select(_ => Draw(random, keys))]);
        }
    }

    [Fact]
    public void TestBatchApplyEmptyOps()
    {
        var store = new Applying();
        store.Apply([]);
        Assert.Equal((1, 1), ((long)store.Store.View.AppliedIndex, store.Store.View.Revision));
        Assert.Equal(1, store.Published);
    }

    [Fact]
    public void TestBatchApplySingleOp()
    {
        var store = new Applying();
        Assert.Equal(["@2 put"], store.Apply([Put("a", "1")]));
        Assert.Equal((2, 1), (store.Store.View.Revision, store.Published));
    }

    [Fact]
    public void TestBatchApplyStressTest()
    {
        const int operations = 10_000;
        var store = new Applying();
        string[] answers = store.Apply([.. Enumerable.Range(0, operations).Select(i => Put($"k{i * 7919 % operations}", $"v{i}"))]);
        Assert.Equal([.. Enumerable.Range(2, operations).Select(revision => $"@{revision} put")], answers);
        Assert.Equal((operations, 1), (store.Store.View.Index.LiveCount, store.Published));
        IndexShape.Check(store.Store);
    }

    [Fact]
    public void A_key_that_is_put_three_times_in_a_batch_has_three_versions_and_three_events()
    {
        var store = new Applying();
        store.Apply([Put("k", "1"), Put("k", "2"), Put("k", "3")]);
        Assert.Equal(["2: k=1 v1 c2", "3: k=2 v2 c2", "4: k=3 v3 c2"], store.Events());
    }

    /// <summary>The node loop takes news up to the view that it answers by: what is not there yet when that is published it would not know, and deny.</summary>
    [Fact]
    public void News_of_leases_are_on_their_way_before_the_view_that_has_them_is_published()
    {
        var store = new Applying();
        store.Apply([new LeaseGrantRequest(100, 7), Put("k", "1") with { LeaseId = 7 }]);
        store.Apply([new LeaseGrantRequest(100, 8), new LeaseRevokeRequest(7)]);
        Assert.Equal(["7 Granted by 1, published through 0", "8 Granted by 2, published through 1", "7 Ended by 2, published through 1"], store.LeaseNews);
    }

    private static void AssertSame(StoreRequest[] requests)
    {
        var batched = new Applying();
        var single = new Applying();
        string[] ofBatch = batched.Apply(requests);
        string[] ofSingle = [.. requests.SelectMany(request => single.Apply([request]))];
        Assert.Equal(ofSingle, ofBatch);
        Assert.Equal(single.Events(), batched.Events());
        Assert.Equal(single.State(), batched.State());
        Assert.Equal((requests.Length, 1), (single.Published, batched.Published));
        IndexShape.Check(batched.Store);
    }

    private static StoreRequest Draw(Random random, int keys)
    {
        string key = $"k{random.Next(keys)}";
        return random.Next(11) switch
        {
            10 => new CompactRequest(new Revision(random.Next(1, 300))),
            < 5 => Put(key, $"{random.Next(100)}") with { ReturnPrevious = random.Next(2) == 0, LeaseId = random.Next(8) == 0 ? 7 : 0 },
            5 => Put(key, string.Empty) with { IgnoreValue = true },
            6 or 7 => Delete(key, random.Next(2) == 0 ? string.Empty : "k9"),
            8 => new TxnRequest { Compare = [Exists(key)], Success = [Delete(key, string.Empty), Put("other", "1")], Failure = [Put(key, "new"), Put(key + "x", "new")] },
            _ => random.Next(2) == 0 ? new LeaseGrantRequest(100, 7) : new LeaseRevokeRequest(7),
        };
    }

    private static PutRequest Put(string key, string value) => new() { Key = Bytes(key), Value = Bytes(value) };

    private static DeleteRangeRequest Delete(string key, string end) => new() { Key = Bytes(key), RangeEnd = Bytes(end), ReturnPrevious = true };

    private static Compare Exists(string key) => new() { Key = Bytes(key), Target = CompareTarget.Version, Relation = CompareRelation.Greater };

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>An apply loop by itself: what is given to it at once is one entry of the log.</summary>
    private sealed class Applying : ILoopSignal
    {
        private readonly PendingOperationPool _pool = new(runContinuationsAsynchronously: false);
        private readonly Applier _applier;
        private ulong _index;

        public Applying()
        {
            var options = new SnapshotOptions { EntriesMin = int.MaxValue, LogBytesMin = long.MaxValue };
            _applier = new Applier(new StoreHolder(Store), new NodeFailure(), this, new SnapshotPolicy(options, 0), 1000, clusterId: 1, nodeId: 1, TimeProvider.System);
            _applier.Connect(() => Published++, () => { }, _ => { }, _ => { }, Hear, logEndedAt: 0);
        }

        public MvccStore Store { get; } = new();

        /// <summary>How often something became visible.</summary>
        public int Published { get; private set; }

        public List<string> LeaseNews { get; } = [];

        public string[] Apply(StoreRequest[] requests)
        {
            PendingOperation[] waiters = [.. requests.Select(Rent)];
            ValueTask<StoreResponse>[] answers = [.. waiters.Select(waiter => new ValueTask<StoreResponse>(waiter, waiter.Token))];
            byte[] batch = CommandBatch.Encode(new BatchId(1, ++_index), waiters);
            _applier.Enqueue(new ApplyItem(new Entry(new Term(1), new LogIndex(_index), EntryKind.Command, batch), waiters, null));
            _applier.RunOnce();
            return [.. answers.Select(Describe)];
        }

        /// <summary>What each revision changed, in order.</summary>
        public string[] Events()
        {
            var events = new List<string>();
            for (long revision = Math.Max(2, Store.View.CompactRevision); revision <= Store.View.Revision; revision++)
            {
                foreach (LoggedEvent e in Store.Events.Read(revision))
                {
                    string text = e.Version.IsTombstone ? "-" : $"={Encoding.UTF8.GetString(e.Version.Value)} v{e.Version.Version} c{e.Version.CreateRevision}";
                    events.Add($"{revision}: {Encoding.UTF8.GetString(e.Record.Key)}{text}");
                }
            }

            return [.. events];
        }

        public string State()
        {
            RangeResponse all = RangeReader.Read(Store.View.Index, Store.View.Revision, Store.View.Revision, new RangeRequest { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } });
            return $"{Store.View.Revision} {Store.View.Digest:x} {string.Join(' ', all.Items.Select(SteppedStore.Show))} {string.Join(' ', Store.View.Leases.Ids)}";
        }

        public void Set()
        {
            // The test steps the loop.
        }

        private void Hear(LeaseNews news) => LeaseNews.Add($"{news.Id} {news.Change} by {news.Index}, published through {Store.View.AppliedIndex}");

        private static string Describe(ValueTask<StoreResponse> answer)
        {
            try
            {
                return SteppedStore.Describe(answer.GetAwaiter().GetResult());
            }
            catch (MetaStoreException error)
            {
                return $"error {error.Error}";
            }
        }

        private PendingOperation Rent(StoreRequest request)
        {
            PendingOperation operation = _pool.Rent();
            operation.Begin(request, StoreRequestCodec.GetLength(request), 0, long.MaxValue, queued: false, default);
            return operation;
        }
    }
}
