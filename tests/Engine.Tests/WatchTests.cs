using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Engine.Watches;
using MetaStore.Testing;

namespace MetaStore.Engine.Tests;

/// <summary>Watches on a stepped node: what is told, in which order, and what happens to those who are slow.</summary>
public sealed class WatchTests
{
    [Fact]
    public void AWatchFromNow_IsToldOfWhatComes()
    {
        using var node = new SteppedNode();
        node.Run(Put("a", "0"));
        var watch = new Reader(node, All());
        node.Run(Put("a", "1"));
        node.Run(Put("b", "2"));
        node.Run(new DeleteRangeRequest { Key = Bytes("a") });
        Assert.Equal(["created 2", "put a=1 c2 m3 v2", "put b=2 c4 m4 v1", "delete a m5"], watch.Read());
    }

    [Fact]
    public void AWatchOfTheFuture_WaitsForIt()
    {
        using var node = new SteppedNode();
        var watch = new Reader(node, All() with { StartRevision = new Revision(4) });
        for (int i = 2; i < 6; i++)
        {
            node.Run(Put("k", $"{i}"));
        }

        Assert.Equal(["created 1", "put k=4 c2 m4 v3", "put k=5 c2 m5 v4"], watch.Read());
    }

    [Fact]
    public void OneRevision_IsToldInTheOrderOfItsOperations_AlsoAfterARestartFromASnapshot()
    {
        using var node = new SteppedNode(new SnapshotOptions { EntriesMin = 1, EntriesKept = 0 });
        node.Run(Put("m", "0"));
        node.Run(new TxnRequest
        {
            Success =
            [
                Put("z", "1"),
                new TxnRequest { Success = [Put("a", "2")] },
                new TxnRequest { Success = [new DeleteRangeRequest { Key = Bytes("a"), RangeEnd = Bytes("n") }] },
                Put("y", "3"),
            ],
        });
        string[] expected = ["created 3", "put z=1 c3 m3 v1", "put a=2 c3 m3 v1", "delete a m3", "delete m m3 was 0", "put y=3 c3 m3 v1"];
        WatchRequest request = All() with { StartRevision = new Revision(3), PreviousValue = true };
        Assert.Equal(expected, new Reader(node, request).Read());

        RestartFromSnapshot(node);
        Assert.Equal(expected, new Reader(node, request).Read());
    }

    [Fact]
    public void ThePreviousState_IsThatBeforeTheRevision()
    {
        using var node = new SteppedNode();
        node.Run(Put("k", "1"));
        node.Run(Put("k", "2"));
        node.Run(new DeleteRangeRequest { Key = Bytes("k") });
        node.Run(Put("k", "3"));
        string[] told = new Reader(node, All() with { StartRevision = new Revision(2), PreviousValue = true }).Read();
        Assert.Equal(["created 5", "put k=1 c2 m2 v1", "put k=2 c2 m3 v2 was 1", "delete k m4 was 2", "put k=3 c5 m5 v1"], told);
    }

    [Fact]
    public void OnlyWhatIsAskedFor_IsTold()
    {
        using var node = new SteppedNode();
        Reader[] watches =
        [
            new(node, All() with { NoPut = true }),
            new(node, All() with { NoDelete = true }),
            new(node, new WatchRequest { Key = Bytes("a") }),
            new(node, new WatchRequest { Key = Bytes("a"), RangeEnd = Bytes("b") }),
            new(node, All() with { Predicates = [new(WatchTarget.Key, WatchRelation.EndsWith, Bytes("b"))] }),
            new(node, All() with { Predicates = [new(WatchTarget.Value, WatchRelation.Contains, Bytes("2")), new(WatchTarget.Value, WatchRelation.NotEqual, Bytes("x2"))] }),
        ];
        node.Run(Put("a", "1"));
        node.Run(Put("ab", "x2"));
        node.Run(Put("b", "y2z"));
        node.Run(new DeleteRangeRequest { Key = Bytes("a") });
        Assert.Equal(["created 1", "delete a m5"], watches[0].Read());
        Assert.Equal(["created 1", "put a=1 c2 m2 v1", "put ab=x2 c3 m3 v1", "put b=y2z c4 m4 v1"], watches[1].Read());
        Assert.Equal(["created 1", "put a=1 c2 m2 v1", "delete a m5"], watches[2].Read());
        Assert.Equal(["created 1", "put a=1 c2 m2 v1", "put ab=x2 c3 m3 v1", "delete a m5"], watches[3].Read());
        Assert.Equal(["created 1", "put ab=x2 c3 m3 v1", "put b=y2z c4 m4 v1"], watches[4].Read());
        Assert.Equal(["created 1", "put b=y2z c4 m4 v1", "delete a m5"], watches[5].Read());
    }

    [Fact]
    public void TheCompactedRevisionItself_CanBeWatched_AndNoneBefore()
    {
        using var node = new SteppedNode(new SnapshotOptions { EntriesMin = 1, EntriesKept = 0 });
        node.Run(Put("k", "1"));
        node.Run(Put("k", "2"));
        node.Run(new DeleteRangeRequest { Key = Bytes("k") });
        node.Run(new CompactRequest(new Revision(4)));
        node.Run(Put("l", "1"));
        for (int life = 0; life < 2; life++)
        {
            Assert.Equal(["created 5", "delete k m4", "put l=1 c5 m5 v1"], new Reader(node, All() with { StartRevision = new Revision(4) }).Read());
            var late = new Reader(node, All() with { StartRevision = new Revision(3) });
            Assert.Equal(["created 5", "compacted 4"], late.Read());
            Assert.Equal(["created 5", "compacted 4"], new Reader(node, All() with { StartRevision = new Revision(-1) }).Read());
            RestartFromSnapshot(node);
        }

        node.Run(new CompactRequest(new Revision(5)));
        Assert.Equal("@5 count 1 l=1(c5 m5 v1 l0)", node.Run(new RangeRequest { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } }));
        Assert.True(node.Core.View.Index.Find("k"u8).IsNull);
    }

    /// <summary>Its reader takes nothing: what fits stays, the rest is read from the log once the reader comes back.</summary>
    [Fact]
    public void ASlowWatcher_HoldsNobodyUp_KeepsToItsMemory_AndMissesNothing()
    {
        using var node = new SteppedNode(watches: new WatchOptions { QueueBytesMax = 2000, TotalBytesMax = 10_000 });
        Reader[] slow = [.. Enumerable.Range(0, 20).Select(_ => new Reader(node, All()))];
        var swift = new Reader(node, All());
        List<string> expected = ["created 1"];
        for (int i = 0; i < 300; i++)
        {
            node.Run(Put("k", new string('v', 100)));
            expected.Add($"put k={new string('v', 100)} c2 m{i + 2} v{i + 1}");
            Assert.InRange(node.Core.Groups[0].Watch.QueuedBytes, 0, 10_000 + 4096);
            if (i % 10 == 0)
            {
                swift.Read();
            }
        }

        swift.Read();
        Assert.Equal(expected, swift.Told);
        foreach (Reader reader in slow)
        {
            Assert.Equal(expected, reader.Read());
        }

        Assert.Equal(0, node.Core.Groups[0].Watch.QueuedBytes);
    }

    [Fact]
    public void ASlowWatcherThatACompactionOvertakes_IsToldSo_AfterAllItHad()
    {
        using var node = new SteppedNode(watches: new WatchOptions { QueueBytesMax = 1000 });
        var slow = new Reader(node, All());
        var synced = new Reader(node, new WatchRequest { Key = Bytes("other") });
        for (int i = 0; i < 600; i++)
        {
            node.Run(Put("k", $"{i}"));
        }

        node.Run(new CompactRequest(new Revision(601)));
        string[] told = slow.Read();
        Assert.Equal("compacted 601", told[^1]);
        Assert.Equal(Enumerable.Range(0, told.Length - 2).Select(i => $"put k={i} c2 m{i + 2} v{i + 1}"), told[1..^1]);
        node.Run(Put("other", "x"));
        Assert.Equal(["created 1", "put other=x c602 m602 v1"], synced.Read());
    }

    [Fact]
    public void ALongRevision_ComesInPartsWhereThatIsAskedFor_AndWholeOtherwise()
    {
        using var node = new SteppedNode(watches: new WatchOptions { FragmentBytes = 1000 });
        var parts = new Reader(node, All() with { Fragment = true });
        var whole = new Reader(node, All());
        node.Run(new TxnRequest { Success = [.. Enumerable.Range(0, 20).Select(i => Put($"k{i:d2}", "v"))] });
        node.Run(Put("last", "v"));
        parts.Read();
        whole.Read();
        Assert.Equal(whole.Told, parts.Told);
        Assert.All(whole.Responses, response => Assert.False(response.Fragment));
        Assert.True(parts.Responses.Count(response => response.Fragment) >= 3);
        Assert.False(parts.Responses[^1].Fragment);
    }

    /// <summary>Those who are behind are read for one by one: the whole of a revision that removed a million keys is too much to hold for each. Whoever puts the parts together holds a revision, and no more.</summary>
    [Fact]
    public void LongRevisionsOfOldTimes_AreNotHeldWhole_ForThoseWhoTakeParts()
    {
        const int Removals = 4;
        using var node = new SteppedNode(watches: new WatchOptions { QueueBytesMax = 20_000, TotalBytesMax = 40_000 });
        for (int removal = 0; removal < Removals; removal++)
        {
            for (int i = 0; i < 5; i++)
            {
                node.Run(Put("k", "short"));
                node.Run(new TxnRequest { Success = [.. Enumerable.Range(0, 100).Select(j => Put($"{(j % 2 == 0 ? 'k' : 'o')}{i:d2}{j:d2}", "v"))] });
            }

            node.Run(new DeleteRangeRequest { Key = Bytes("\0"), RangeEnd = Bytes("\0") });
        }

        node.Run(Put("k", "last"));
        var request = new WatchRequest { Key = Bytes("k"), RangeEnd = Bytes("l"), StartRevision = new Revision(2), Fragment = true };
        Reader[] readers = [.. Enumerable.Range(0, 4).Select(_ => new Reader(node, request))];
        var whole = new Reader(node, request with { Fragment = false });
        long most = 0;
        bool isMore = true;
        while (isMore)
        {
            isMore = false;
            foreach (Reader reader in readers)
            {
                isMore |= reader.ReadOne();
                most = Math.Max(most, node.Core.Groups[0].Watch.QueuedBytes);
            }
        }

        // The cap, and a share of a fifth of it for each of four beyond that, with the event that it ends with.
        Assert.InRange(most, 20_000, 40_000 + (4 * (8000 + 1000)));
        whole.Read();
        Assert.All(whole.Responses, response => Assert.False(response.Fragment));
        Assert.Equal(1 + (Removals * (5 + 250 + 251)) + 1, whole.Told.Count);
        Assert.All(readers, reader => Assert.Equal(whole.Told, reader.Told));
        Assert.All(readers, reader => Assert.InRange(reader.Responses.Count(response => response.Fragment), 2 * Removals, 40 * Removals));
        foreach (WatchResponse[] chain in readers.SelectMany(Chains))
        {
            Assert.Single(chain.SelectMany(part => part.Events).Select(e => e.KeyValue.ModRevision).Distinct());
        }
    }

    /// <summary>What came in parts, put together.</summary>
    private static IEnumerable<WatchResponse[]> Chains(Reader reader)
    {
        var chain = new List<WatchResponse>();
        foreach (WatchResponse response in reader.Responses)
        {
            chain.Add(response);
            if (!response.Fragment)
            {
                if (chain.Count > 1)
                {
                    yield return [.. chain];
                }

                chain.Clear();
            }
        }

        Assert.Empty(chain);
    }

    [Fact]
    public void Progress_VouchesForWhatWasToldBefore_AndIsNotSaidAfterAnEvent()
    {
        using var node = new SteppedNode(watches: new WatchOptions { ProgressInterval = TimeSpan.FromSeconds(10) });
        var watch = new Reader(node, new WatchRequest { Key = Bytes("k"), ProgressNotify = true });
        node.Run(Put("other", "1"));
        node.Run(Put("k", "1"));
        Pass(node, 12);
        Assert.Equal(["created 1", "put k=1 c3 m3 v1"], watch.Read());
        node.Run(Put("other", "2"));
        Pass(node, 12);
        Assert.Equal(["progress 4"], watch.Read());
    }

    [Fact]
    public void WhoLeaves_LeavesNothingBehind()
    {
        using var node = new SteppedNode();
        using var cancel = new CancellationTokenSource();
        var cancelled = new Reader(node, All(), cancel.Token);
        var left = new Reader(node, new WatchRequest { Key = Bytes("k"), ProgressNotify = true });
        node.Run(Put("k", "1"));
        Assert.Equal((2, 1), (node.Core.Groups[0].Watch.Count, node.Core.Groups[0].Watch.ProgressPlanned));
        cancel.Cancel();
        left.Leave();
        node.Settle();
        Assert.Equal(["cancelled"], cancelled.Read());
        Assert.Equal((0, 0L, 0), (node.Core.Groups[0].Watch.Count, node.Core.Groups[0].Watch.QueuedBytes, node.Core.Groups[0].Watch.ProgressPlanned));
        Assert.Equal("@3 put", node.Run(Put("k", "2")));
    }

    [Fact]
    public void WhatCanNeverBeTold_IsRefusedAtOnce()
    {
        using var node = new SteppedNode();
        WatchRequest[] bad =
        [
            new WatchRequest { Key = Bytes("b"), RangeEnd = Bytes("a") },
            new WatchRequest { Key = Bytes("b"), RangeEnd = Bytes("b") },
            All() with { Predicates = [new((WatchTarget)9, WatchRelation.Equal, Bytes("x"))] },
            All() with { Predicates = [.. Enumerable.Repeat(new WatchPredicate(WatchTarget.Key, WatchRelation.Equal, Bytes("x")), 17)] },
        ];
        foreach (WatchRequest request in bad)
        {
            Assert.Equal(MetaStoreError.InvalidArgument, Assert.Throws<MetaStoreException>(() => node.Core.WatchAsync(request)).Error);
        }
    }

    /// <summary>A watch of what never changes knows where to go on after a compaction, wherever it was then: up to date, behind, or beginning in the future.</summary>
    [Fact]
    public void ACompaction_TellsQuietWatchesHowFarTheyAre()
    {
        using var node = new SteppedNode();
        WatchRequest quiet = new() { Key = Bytes("quiet"), ProgressNotify = true };
        var current = new Reader(node, quiet);
        var silent = new Reader(node, quiet with { ProgressNotify = false });
        var future = new Reader(node, quiet with { StartRevision = new Revision(100) });
        for (int i = 0; i < 20; i++)
        {
            node.Run(Put("k", $"{i}"));
        }

        node.Run(new CompactRequest(new Revision(10)));
        Assert.Equal(["created 1", "progress 21"], current.Read());
        node.Run(new CompactRequest(new Revision(21)));
        Assert.Empty(current.Read()); // It knows so much already.
        var late = new Reader(node, quiet with { StartRevision = new Revision(21) });
        node.Run(Put("k", "20"));
        node.Run(Put("k", "21"));
        node.Run(new CompactRequest(new Revision(23)));
        Assert.Equal(["progress 23"], current.Read());
        Assert.Equal(["created 21", "progress 23"], late.Read());
        Assert.Equal(["created 1"], silent.Read());
        Assert.Equal(["created 1"], future.Read());

        // And what each was told is enough to go on with.
        Assert.Equal(["created 23"], new Reader(node, quiet with { StartRevision = new Revision(24) }).Read());
    }

    /// <summary>The header of an event says more than etcd's clients take from it: they go on behind the event.</summary>
    [Fact]
    public void ACompaction_TellsThoseWhoseLastEventIsOld()
    {
        using var node = new SteppedNode();
        node.Run(Put("quiet", "1"));
        for (int i = 0; i < 20; i++)
        {
            node.Run(Put("k", $"{i}"));
        }

        var watch = new Reader(node, new WatchRequest { Key = Bytes("quiet"), ProgressNotify = true, StartRevision = new Revision(2) });
        Assert.Equal(["created 22", "put quiet=1 c2 m2 v1"], watch.Read());
        node.Run(new CompactRequest(new Revision(20)));
        Assert.Equal(["progress 22"], watch.Read());
    }

    /// <summary>One that is still catching up when history is compacted hears of it when it has caught up.</summary>
    [Fact]
    public void ACompaction_TellsThoseWhoAreBehind_OnceTheyAreNot()
    {
        using var node = new SteppedNode();
        for (int i = 0; i < 9000; i++)
        {
            node.Run(Put("k", $"{i}"));
        }

        var request = new WatchRequest { Key = Bytes("quiet"), ProgressNotify = true, StartRevision = new Revision(10) };
        using WatchFeed watch = node.Core.OpenWatch(request, () => { });
        node.Core.Groups[0].Watch.RunOnce(); // It has read one slice.
        ValueTask<CompactResponse> compacting = node.Core.CompactAsync(new CompactRequest(new Revision(1000)));
        node.Settle(except: "watch");
        Assert.True(compacting.IsCompleted);
        node.Core.Groups[0].Watch.RunOnce(); // And another, while those who are up to date are told of the compaction.
        Assert.True(watch.TryTake(out WatchResponse? created) && created.IsCreated);
        Assert.False(watch.TryTake(out _));
        node.Settle();
        Assert.True(watch.TryTake(out WatchResponse? progress) && progress.IsProgress);
        Assert.Equal(new Revision(9001), progress!.Header.Revision);
    }

    /// <summary>A watch that minds is ended by a node that may be cut off, one that does not waits on.</summary>
    [Fact]
    public async Task ANodeWithoutALeader_EndsTheWatchesThatMind()
    {
        var time = new SteppedNode.ManualTime();
        bool hasLeader = false;
        var hub = new WatchHub(new WatchParts
        {
            Options = new WatchOptions(),
            Stores = new StoreHolder(new MvccStore()),
            Failure = new NodeFailure(),
            Signal = new NoSignal(),
            Time = time,
            ClusterId = 1,
            NodeId = 1,
            Term = () => 1,
            HasLeader = () => hasLeader,
            LeaderPatience = 3000 * (time.TimestampFrequency / 1000),
            RunContinuationsAsynchronously = false,
        });
        WatchRequest minds = All() with { RequireLeader = true };
        Watcher minding = hub.Open(minds, new WatchFilter(minds), default, default);
        Watcher waiting = hub.Open(All(), new WatchFilter(All()), default, default);
        Assert.True(await minding.MoveNextAsync());
        Assert.True(await waiting.MoveNextAsync());
        ValueTask<bool> ended = minding.MoveNextAsync();
        ValueTask<bool> waits = waiting.MoveNextAsync();
        for (int i = 0; i < 100; i++)
        {
            // A leader now and then is enough.
            hasLeader = i is 20 or 40;
            time.Advance(TimeSpan.FromMilliseconds(100));
            hub.RunOnce();
            Assert.True(i > 65 || !ended.IsCompleted, $"it ended after {i} tenths of a second");
        }

        Assert.Equal(MetaStoreError.NoLeader, (await Assert.ThrowsAsync<MetaStoreException>(async () => await ended)).Error);
        Assert.False(waits.IsCompleted);
        Assert.Equal(1, hub.Count);
    }

    [Fact]
    public void ANodeThatStops_EndsItsWatches()
    {
        using var node = new SteppedNode();
        var watch = new Reader(node, All());
        node.Run(Put("k", "1"));
        node.Core.RefuseNew();
        node.Core.AbandonAll();
        Assert.Equal(["created 1", "put k=1 c2 m2 v1", "error Stopped"], watch.Read(settle: false));
        Assert.Equal(MetaStoreError.Stopped, Assert.Throws<MetaStoreException>(() => node.Core.WatchAsync(All()).GetAsyncEnumerator()).Error);
    }

    /// <summary>The events of all revisions, against what was done, whatever was compacted, snapshot and restarted on the way.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void TheLogOfEvents_HasEachRevisionFromTheCompactedOneOn(int seed)
    {
        var random = new Random(seed);
        using var node = new SteppedNode(new SnapshotOptions { EntriesMin = 40, EntriesKept = 5, SliceBytes = 500 });
        var model = new Dictionary<long, string>();
        long compacted = 0;
        for (int i = 0; i < 1500; i++)
        {
            string key = $"k{random.Next(20)}";
            long revision = node.Core.View.Revision;
            switch (random.Next(20))
            {
                case < 12:
                    node.Run(Put(key, $"{i}"));
                    model[node.Core.View.Revision] = $"{key}={i}";
                    break;
                case < 18:
                    node.Run(new DeleteRangeRequest { Key = Bytes(key) });
                    if (node.Core.View.Revision > revision)
                    {
                        model[node.Core.View.Revision] = $"{key} gone";
                    }

                    break;
                case 18 when revision > compacted + 1:
                    compacted = random.Next(2) == 0 ? revision : random.NextInt64(compacted + 1, revision + 1);
                    node.Run(new CompactRequest(new Revision(compacted)));
                    break;
                case 19 when random.Next(10) == 0:
                    node.Restart(CrashPolicy.LoseAll);
                    break;
            }
        }

        var reader = new Reader(node, All() with { StartRevision = new Revision(Math.Max(compacted, 2)) });
        reader.Read();
        string[] told = [.. reader.Responses.SelectMany(r => r.Events).Select(e => Text(e.KeyValue.Key) + (e.Type == WatchEventType.Put ? $"={Text(e.KeyValue.Value)}" : " gone"))];
        Assert.Equal(model.Where(m => m.Key >= compacted).OrderBy(m => m.Key).Select(m => m.Value), told);
    }

    private static WatchRequest All() => new() { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } };

    private static PutRequest Put(string key, string value) => new() { Key = Bytes(key), Value = Bytes(value) };

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);

    private static string Text(ReadOnlyMemory<byte> bytes) => Encoding.ASCII.GetString(bytes.Span);

    /// <summary>Comes back with nothing but a snapshot of all that was applied.</summary>
    private static void RestartFromSnapshot(SteppedNode node)
    {
        ulong applied = node.Core.View.AppliedIndex;
        node.Core.Apply.DemandSnapshot();
        node.Settle();
        Assert.Equal(applied, node.Wait(node.Core.StatusAsync()).SnapshotIndex);
        node.Restart(CrashPolicy.LoseAll);
    }

    private static void Pass(SteppedNode node, int seconds)
    {
        for (int i = 0; i < 10 * seconds; i++)
        {
            node.Time.Advance(TimeSpan.FromMilliseconds(100));
            node.Settle();
        }
    }

    private sealed class NoSignal : ILoopSignal
    {
        public void Set()
        {
        }
    }

    /// <summary>A watch and what it was told, in words. It takes only when it is told to.</summary>
    private sealed class Reader
    {
        private readonly SteppedNode _node;
        private readonly IAsyncEnumerator<WatchResponse> _watch;
        private ValueTask<bool>? _next;

        public Reader(SteppedNode node, WatchRequest request, CancellationToken cancellationToken = default)
        {
            _node = node;
            _watch = node.Core.WatchAsync(request, cancellationToken).GetAsyncEnumerator();
            node.Settle();
        }

        public List<WatchResponse> Responses { get; } = [];

        public List<string> Told { get; } = [];

        /// <summary>Takes all there is; what is new of it.</summary>
        public string[] Read(bool settle = true)
        {
            int before = Told.Count;
            try
            {
                while (true)
                {
                    ValueTask<bool> next = _next ?? _watch.MoveNextAsync();
                    _next = null;
                    if (settle)
                    {
                        _node.Settle();
                    }

                    if (!next.IsCompleted)
                    {
                        _next = next;
                        return [.. Told[before..]];
                    }

                    Assert.True(next.Result, "a watch has no end");
                    Take(_watch.Current);
                }
            }
            catch (CompactedException compacted)
            {
                Told.Add($"compacted {compacted.CompactRevision}");
            }
            catch (MetaStoreException error)
            {
                Told.Add($"error {error.Error}");
            }
            catch (OperationCanceledException)
            {
                Told.Add("cancelled");
            }

            return [.. Told[before..]];
        }

        /// <summary>Takes the next response; false where there is none.</summary>
        public bool ReadOne()
        {
            ValueTask<bool> next = _next ?? _watch.MoveNextAsync();
            _next = null;
            _node.Settle();
            if (!next.IsCompleted)
            {
                _next = next;
                return false;
            }

            Assert.True(next.Result, "a watch has no end");
            Take(_watch.Current);
            return true;
        }

        public void Leave() => Assert.True(_watch.DisposeAsync().IsCompletedSuccessfully);

        private void Take(WatchResponse response)
        {
            Responses.Add(response);
            if (response.IsCreated || response.IsProgress)
            {
                Told.Add($"{(response.IsCreated ? "created" : "progress")} {response.Header.Revision}");
            }

            foreach (WatchEvent e in response.Events)
            {
                KeyValue kv = e.KeyValue;
                string was = e.Previous is { } previous ? $" was {Text(previous.Value)}" : string.Empty;
                Told.Add(e.Type == WatchEventType.Put
                    ? $"put {Text(kv.Key)}={Text(kv.Value)} c{kv.CreateRevision} m{kv.ModRevision} v{kv.Version}{was}"
                    : $"delete {Text(kv.Key)} m{kv.ModRevision}{was}");
                Assert.InRange(kv.ModRevision.Value, 1, response.Header.Revision.Value);
            }
        }
    }
}
