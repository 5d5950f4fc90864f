using Google.Protobuf;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;
using MetaStore.Testing.Processes;
using Event = MetaStore.Etcd.Messages.Event;
using WatchCancelRequest = MetaStore.Etcd.Messages.WatchCancelRequest;
using WatchCreateRequest = MetaStore.Etcd.Messages.WatchCreateRequest;
using WatchProgressRequest = MetaStore.Etcd.Messages.WatchProgressRequest;
using WatchRequest = MetaStore.Etcd.Messages.WatchRequest;
using WatchResponse = MetaStore.Etcd.Messages.WatchResponse;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>etcdserverpb.Watch.</summary>
public sealed class WatchServiceTests
{
    [Fact]
    public async Task Many_watches_share_a_stream_each_with_its_id()
    {
        await using var node = new EtcdNode();
        await using TestStream stream = node.Open(Say.Watch, Create("a"), Create("b", id: 7), Create("c"), Create("d", id: 7));
        Assert.Equal("0 @1 created", await NextAsync(stream));
        Assert.Equal("7 @1 created", await NextAsync(stream));
        Assert.Equal("1 @1 created", await NextAsync(stream));
        Assert.Equal("-1 @1 created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"", await NextAsync(stream));
        await PutAsync(node, "b", "1");
        Assert.Equal("7 @2 b=1(c2 m2 v1)", await NextAsync(stream));
        await PutAsync(node, "c", "1");
        Assert.Equal("1 @3 c=1(c3 m3 v1)", await NextAsync(stream)); // Before there is more, which would come with it.
        await node.CallAsync<Messages.DeleteRangeResponse>(Say.Delete, new Messages.DeleteRangeRequest { Key = Say.Bytes("c") });
        Assert.Equal("1 @4 -c=(c0 m4 v0)", await NextAsync(stream));
        stream.Send(Cancel(99), Cancel(7), Cancel(7));
        Assert.Equal("7 @4 canceled", await NextAsync(stream));
        await PutAsync(node, "b", "2");
        await PutAsync(node, "a", "1");
        stream.CompleteRequests();
        Assert.Equal("0 @6 a=1(c6 m6 v1)", await NextAsync(stream));
    }

    [Fact]
    public async Task A_watch_begins_where_it_is_told_to()
    {
        await using var node = new EtcdNode();
        await PutAsync(node, "a", "1");
        await PutAsync(node, "b", "1");
        await PutAsync(node, "a", "2");
        await using TestStream stream = node.Open(Say.Watch);
        stream.Send(Create("a", start: 2, change: create => create.PrevKv = true));
        Assert.Equal("0 @4 created", await NextAsync(stream));
        Assert.Equal("0 @4 a=1(c2 m2 v1) a=2(c2 m4 v2) was a=1(c2 m2 v1)", await NextAsync(stream));
        stream.Send(Create(string.Empty, "\0", start: 3));
        Assert.Equal("1 @4 created", await NextAsync(stream));
        Assert.Equal("1 @4 b=1(c3 m3 v1) a=2(c2 m4 v2)", await NextAsync(stream));
        stream.Send(Create("z", "\0", start: 6));
        Assert.Equal("2 @4 created", await NextAsync(stream));
        stream.Send(Cancel(0), Cancel(1));
        Assert.Equal(["0 @4 canceled", "1 @4 canceled"], [await NextAsync(stream), await NextAsync(stream)]);
        await PutAsync(node, "z1", "1");
        await PutAsync(node, "z2", "1");
        Assert.Equal("2 @6 z2=1(c6 m6 v1)", await NextAsync(stream));
    }

    [Fact]
    public async Task A_watch_of_what_is_compacted_is_created_and_canceled()
    {
        await using var node = new EtcdNode();
        await PutAsync(node, "a", "1");
        await PutAsync(node, "a", "2");
        await PutAsync(node, "a", "3");
        await node.CallAsync<Messages.CompactionResponse>(Say.Compact, new Messages.CompactionRequest { Revision = 3 });
        await using TestStream stream = node.Open(Say.Watch, Create("a", start: 2));
        Assert.Equal("0 @4 created", await NextAsync(stream));
        WatchResponse canceled = await stream.ReadAsync<WatchResponse>();
        Assert.Equal("0 @0 canceled compacted 3", Say.Text(canceled));
        Assert.Equal((7u, 1u), (canceled.Header.ClusterId, canceled.Header.MemberId));
        stream.Send(Create("a", start: 3), Create("a", start: -5));
        Assert.Equal("1 @4 created", await NextAsync(stream));
        var rest = new List<string> { await NextAsync(stream), await NextAsync(stream) };
        Assert.Equal(["-1 @4 created canceled \"etcdserver: mvcc: required revision has been compacted\"", "1 @4 a=2(c2 m3 v2) a=3(c2 m4 v3)"], rest.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_watch_from_below_all_revisions_is_refused_though_nothing_was_compacted()
    {
        await using var node = new EtcdNode();
        await using TestStream stream = node.Open(Say.Watch, Create("a", start: -1), Create("a"));
        Assert.Equal("-1 @1 created canceled \"etcdserver: mvcc: required revision has been compacted\"", await NextAsync(stream));
        Assert.Equal("0 @1 created", await NextAsync(stream));
    }

    [Fact]
    public async Task A_range_in_which_nothing_can_be_is_refused()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { WatchesPerStreamMax = 1 });
        await using TestStream stream = node.Open(Say.Watch, Create("b", "a"), Create("b", "b"), Create("b"), Create("c"));
        Assert.Equal("-1 @1 created canceled \"mvcc: watcher range is empty\"", await NextAsync(stream));
        Assert.Equal("-1 @1 created canceled \"mvcc: watcher range is empty\"", await NextAsync(stream));
        Assert.Equal("0 @1 created", await NextAsync(stream));
        Assert.Equal("-1 @1 created canceled \"etcdserver: too many watches on the stream: 1; use another one\"", await NextAsync(stream));
    }

    [Fact]
    public async Task Filters_leave_out_what_was_not_asked_for()
    {
        await using var node = new EtcdNode();
        await using TestStream stream = node.Open(
            Say.Watch,
            Create("a", change: create => create.Filters.Add(WatchCreateRequest.Types.FilterType.Noput)),
            Create("a", change: create => create.Filters.Add(WatchCreateRequest.Types.FilterType.Nodelete)));
        Assert.Equal(["0 @1 created", "1 @1 created"], [await NextAsync(stream), await NextAsync(stream)]);
        await PutAsync(node, "a", "1");
        Assert.Equal("1 @2 a=1(c2 m2 v1)", await NextAsync(stream));
        await node.CallAsync<Messages.DeleteRangeResponse>(Say.Delete, new Messages.DeleteRangeRequest { Key = Say.Bytes("a") });
        Assert.Equal("0 @3 -a=(c0 m3 v0)", await NextAsync(stream));
    }

    /// <summary>The watch loop answers the question for progress, and asks anew for the watches that have come since, while the next one is being made.</summary>
    [Fact]
    public async Task Progress_may_be_asked_for_while_watches_begin()
    {
        const int Rounds = 300;
        await using var node = new EtcdNode();
        await using TestStream stream = node.Open(Say.Watch, Create("a"));
        string key = new('k', 1 << 20); // Its copying takes a while, in which the answer comes.
        WatchRequest slowToBegin = Create(key);
        for (int i = 0; i < Rounds; i++)
        {
            stream.Send(Progress(), Create("a", id: 1), slowToBegin, Cancel(1), Cancel(2 + i));
        }

        int canceled = 0;
        while (canceled < Rounds)
        {
            WatchResponse response = await stream.ReadAsync<WatchResponse>();
            canceled += response.Canceled && response.WatchId > 1 ? 1 : 0;
        }

        Assert.False(node.Node.Failed.IsCompleted);
        stream.Send(Progress());
        Assert.Equal("-1 @1", await NextAsync(stream));
    }

    [Fact]
    public async Task A_long_response_comes_in_fragments_where_that_is_asked_for()
    {
        await using var node = new EtcdNode(change: settings => settings with { Watches = settings.Watches with { FragmentBytes = 400 } });
        for (int i = 0; i < 6; i++)
        {
            await PutAsync(node, $"k{i}", "v");
        }

        await using TestStream stream = node.Open(Say.Watch, Create("a", "z", start: 2, change: create => create.Fragment = true));
        Assert.Equal("0 @7 created", await NextAsync(stream));
        Assert.Equal("0 @7 fragment k0=v(c2 m2 v1) k1=v(c3 m3 v1)", await NextAsync(stream));
        Assert.Equal("0 @7 fragment k2=v(c4 m4 v1) k3=v(c5 m5 v1)", await NextAsync(stream));
        Assert.Equal("0 @7 k4=v(c6 m6 v1) k5=v(c7 m7 v1)", await NextAsync(stream));
    }

    /// <summary>etcd's client puts the parts together that it reads, and drops what it reads of other watches in between; a watch that begins makes it drop the parts.</summary>
    [Fact]
    public async Task Nothing_comes_between_the_parts_of_a_response()
    {
        const int Puts = 60;
        await using var node = new EtcdNode(change: settings => settings with { Watches = settings.Watches with { FragmentBytes = 1 } });
        for (int i = 0; i < Puts; i++)
        {
            await PutAsync(node, $"k{i:d2}", "v");
        }

        const int Watches = 20;
        await using TestStream stream = node.Open(Say.Watch);
        for (int id = 0; id < Watches; id++)
        {
            stream.Send(Create("a", "z", start: 2, change: create => create.Fragment = true), Progress());
        }

        int[] told = new int[Watches];
        int parts = 0;
        WatchResponse? before = null;
        while (told.Sum() < Watches * Puts)
        {
            WatchResponse response = await stream.ReadAsync<WatchResponse>();
            Assert.True(before is not { Fragment: true } || before.WatchId == response.WatchId, $"between the parts of {before} came {response}");
            parts += response.Fragment ? 1 : 0;
            if (response.WatchId >= 0)
            {
                told[response.WatchId] += response.Events.Count;
            }

            before = response;
        }

        Assert.Equal(Enumerable.Repeat(Puts, Watches), told);
        Assert.Equal((Puts - 1) * Watches, parts);
        Assert.False(before!.Fragment);
    }

    /// <summary>A revision is cut wherever it may be, and each part is read when the one before was taken.</summary>
    [Fact]
    public async Task Nothing_comes_between_the_parts_of_a_long_revision()
    {
        const int Keys = 3000;
        await using EtcdNode node = await WithALongRevisionAsync(Keys);
        await using TestStream stream = node.Open(Say.Watch, Create("other"), Create("k", "l", start: Keys + 2, change: create => create.Fragment = true));
        Assert.Equal(["0 @3002 created", "1 @3002 created"], [await NextAsync(stream), await NextAsync(stream)]);
        int told = 0;
        int parts = 0;
        bool isLast = false;
        while (!isLast)
        {
            await PutAsync(node, "other", "v"); // There is always something else to be told.
            WatchResponse response = await stream.ReadAsync<WatchResponse>();
            Assert.True(parts == 0 || response.WatchId == 1, $"after {parts} parts came {response}");
            parts += response.Fragment ? 1 : 0;
            told += response.WatchId == 1 ? response.Events.Count : 0;
            isLast = response.WatchId == 1 && !response.Fragment;
        }

        Assert.Equal(Keys, told);
        Assert.InRange(parts, 10, 100);
        Assert.Equal(0, (await stream.ReadAsync<WatchResponse>()).WatchId);
    }

    /// <summary>A watch that ends amid its parts, by its client or by a compaction, does not keep the others waiting for the rest.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_watch_may_end_amid_parts(bool isCompacted)
    {
        const int Keys = 3000;
        await using EtcdNode node = await WithALongRevisionAsync(Keys);
        await using TestStream stream = node.Open(Say.Watch, Create("other"), Create("k", "l", start: Keys + 2, change: create => create.Fragment = true));
        WatchResponse response;
        do
        {
            response = await stream.ReadAsync<WatchResponse>();
        }
        while (!response.Fragment);

        await PutAsync(node, "other", "v");
        if (isCompacted)
        {
            await PutAsync(node, "other", "w");
            await node.CallAsync<Messages.CompactionResponse>(Say.Compact, new Messages.CompactionRequest { Revision = Keys + 4 });
        }
        else
        {
            stream.Send(Cancel(1), Progress());
            await Deadline.UntilAsync(() => stream.RequestsTaken == 4, "the watch is cancelled"); // All requests before the last taken are carried out.
        }

        int parts = 1;
        while (!response.Canceled)
        {
            response = await stream.ReadAsync<WatchResponse>();
            Assert.Equal(1, response.WatchId);
            parts += response.Fragment ? 1 : 0;
        }

        Assert.InRange(parts, 1, 10);
        Assert.Equal(isCompacted ? Keys + 4 : 0, response.CompactRevision);
        Assert.Equal("0 @3003 other=v(c3003 m3003 v1)", (await NextAsync(stream)).Replace("@3004", "@3003", StringComparison.Ordinal).Split(" other=w")[0]);
        if (!isCompacted)
        {
            Assert.Equal("-1 @3003", await NextAsync(stream));
        }
    }

    [Fact]
    public async Task Progress_is_told_from_time_to_time_where_nothing_else_was()
    {
        await using var node = new EtcdNode(change: settings => settings with { Watches = settings.Watches with { ProgressInterval = TimeSpan.FromMilliseconds(100) } });
        await using TestStream stream = node.Open(Say.Watch, Create("a", change: create => create.ProgressNotify = true));
        Assert.Equal("0 @1 created", await NextAsync(stream));
        Assert.Equal("0 @1", await NextAsync(stream));
        await PutAsync(node, "b", "1");
        string next = await NextAsync(stream);
        while (next == "0 @1")
        {
            next = await NextAsync(stream);
        }

        Assert.Equal("0 @2", next);
    }

    [Fact]
    public async Task A_request_for_progress_is_answered_for_the_stream_behind_all_that_was_before()
    {
        await using var node = new EtcdNode();
        await using TestStream stream = node.Open(Say.Watch, Progress());
        for (int i = 0; i < 20; i++)
        {
            stream.Send(Create($"k{i}", "z"));
            Assert.Equal($"{i} @1 created", await NextAsync(stream));
        }

        await PutAsync(node, "x", "1");
        await PutAsync(node, "a", "1");
        stream.Send(Progress(), Progress());
        await PutAsync(node, "x", "2");
        var told = new List<string>();
        while (!told.Contains("-1 @3") && !told.Contains("-1 @4"))
        {
            told.Add(await NextAsync(stream));
        }

        // However many revisions a response brings.
        Assert.Equal(20, told.Count(text => text.Contains(" x=1(c2 m2 v1)", StringComparison.Ordinal)));
        Assert.Equal(told[^1] == "-1 @3" ? 0 : 20, told.Count(text => text.Contains(" x=2(c2 m4 v2)", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Progress_never_overtakes_an_event_nor_lags_behind_one_whatever_comes_and_goes()
    {
        await using var node = new EtcdNode();
        await using TestStream stream = node.Open(Say.Watch);
        Task writing = WriteAsync();
        long told = 0;
        long progress = 0;
        int words = 0;
        int nextWatch = 0;
        for (int i = 0; i < 1500 || words < 20; i++)
        {
            if (i % 50 == 0)
            {
                stream.Send(Create("k", "l", id: ++nextWatch));
                stream.Send(nextWatch > 5 ? Cancel(nextWatch - 5) : Progress());
            }

            stream.Send(Progress());
            WatchResponse response = await stream.ReadAsync<WatchResponse>();
            long revision = response.Header.Revision;
            if (response.WatchId == -1)
            {
                words++;
                Assert.True(revision >= told, $"progress to {revision}, and {told} was told before");
                (told, progress) = (revision, revision);
            }
            else if (response.Events.Count > 0)
            {
                Assert.True(response.Events[0].Kv.ModRevision > progress, $"an event of {response.Events[0].Kv.ModRevision} behind progress to {progress}");
                told = Math.Max(told, revision);
            }
        }

        await node.Node.DisposeAsync();
        await writing;

        async Task WriteAsync()
        {
            try
            {
                while (true)
                {
                    await PutAsync(node, "k", "v");
                }
            }
            catch (RpcException)
            {
                // The node is stopped.
            }
        }
    }

    [Fact]
    public async Task Who_does_not_read_holds_up_nobody_and_misses_nothing()
    {
        await using var node = new EtcdNode(change: settings => settings with { Watches = settings.Watches with { QueueBytesMax = 2000, TotalBytesMax = 8000 } });
        await using TestStream slow = node.Open(Say.Watch, Create("a", "z"), Create("a", "z"));
        await using TestStream quick = node.Open(Say.Watch, Create("a", "z"));
        Assert.Equal("0 @1 created", await NextAsync(quick));
        for (int i = 0; i < 200; i++)
        {
            await PutAsync(node, "k", "v");
            Assert.Equal($"0 @{i + 2} k=v(c2 m{i + 2} v{i + 1})", await NextAsync(quick));
        }

        Assert.Equal(["0 @1 created", "1 @1 created"], [await NextAsync(slow), await NextAsync(slow)]);
        var next = new Dictionary<long, long> { [0] = 2, [1] = 2 };
        while (next.Values.Any(revision => revision < 202))
        {
            WatchResponse response = await slow.ReadAsync<WatchResponse>();
            foreach (Event e in response.Events)
            {
                Assert.Equal(next[response.WatchId]++, e.Kv.ModRevision);
            }
        }
    }

    [Fact]
    public async Task A_caller_who_only_asks_is_not_read_on()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { WatchAnswersWaitingMax = 10 });
        await using TestStream stream = node.Open(Say.Watch, [.. Enumerable.Range(0, 200).Select(_ => (IMessage)Create("b", "a"))]);
        const int OnTheWay = 4; // With the writer, with the caller, and the one that is one too many.
        for (int i = 0; i < 200; i++)
        {
            Assert.InRange(stream.RequestsTaken, 0, i + 10 + OnTheWay);
            Assert.StartsWith("-1 ", await NextAsync(stream), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_stream_that_ends_leaves_no_watch_and_a_node_that_stops_ends_it()
    {
        await using var node = new EtcdNode();
        TestStream left = node.Open(Say.Watch, Create("a"));
        Assert.Equal("0 @1 created", await NextAsync(left));
        Assert.Equal(1, node.Node.Figures.WatchCount);
        await left.DisposeAsync();
        await Support.Until(() => node.Node.Figures.WatchCount == 0, "the watch is gone");
        await using TestStream stream = node.Open(Say.Watch, Create("a"));
        Assert.Equal("0 @1 created", await NextAsync(stream));
        await node.Node.DisposeAsync();
        RpcException e = await Assert.ThrowsAsync<RpcException>(stream.ReadToEndAsync);
        Assert.Equal((StatusCode.Unavailable, "etcdserver: server stopped"), (e.Code, e.Message));
    }

    private static WatchRequest Create(string key, string end = "", long start = 0, long id = 0, Action<WatchCreateRequest>? change = null)
    {
        var create = new WatchCreateRequest { Key = Say.Bytes(key), RangeEnd = Say.Bytes(end), StartRevision = start, WatchId = id };
        change?.Invoke(create);
        return new WatchRequest { CreateRequest = create };
    }

    /// <summary>A node whose last revision removed keys of three megabytes.</summary>
    private static async Task<EtcdNode> WithALongRevisionAsync(int keys)
    {
        var node = new EtcdNode();
        string name = new('k', 1000);
        for (int i = 0; i < keys; i++)
        {
            await PutAsync(node, $"{name}{i:d4}", "");
        }

        await node.CallAsync<Messages.DeleteRangeResponse>(Say.Delete, new Messages.DeleteRangeRequest { Key = Say.Bytes("k"), RangeEnd = Say.Bytes("l") });
        return node;
    }

    private static WatchRequest Cancel(long id) => new() { CancelRequest = new WatchCancelRequest { WatchId = id } };

    private static WatchRequest Progress() => new() { ProgressRequest = new WatchProgressRequest() };

    private static async Task<string> NextAsync(TestStream stream) => Say.Text(await stream.ReadAsync<WatchResponse>());

    private static Task PutAsync(EtcdNode node, string key, string value) => node.CallAsync<Messages.PutResponse>(Say.Put, Say.PutOf(key, value));
}
