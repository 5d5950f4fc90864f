using System.Runtime.CompilerServices;
using System.Threading.Channels;
using MetaStore.Engine;
using MetaStore.Net.Wire;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>Watches over the protocol: what is said comes once and in order, whatever happens to connections, and a slow one is nobody's trouble but its own.</summary>
public sealed class WatchTests
{
    [Fact]
    public async Task EventsComeThrough_AsTheNodeSaidThem()
    {
        var script = new Script();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Watch = script.Watch });
        await using MetaStoreClient client = served.Connect();
        await using IAsyncEnumerator<WatchResponse> watch = client.WatchAsync(new WatchRequest
        {
            Key = Bytes("a"),
            RangeEnd = Bytes("b"),
            StartRevision = new Revision(7),
            NoDelete = true,
            PreviousValue = true,
            Predicates = [new(WatchTarget.Value, WatchRelation.Contains, Bytes("x"))],
        }).GetAsyncEnumerator();
        script.Say(Created(9), Told(12, Event(10), Event(12, previous: true, type: WatchEventType.Delete)));

        Assert.True((await Next(watch)).IsCreated);
        WatchResponse told = await Next(watch);
        Assert.Equal((12L, false, false), (told.Header.Revision.Value, told.IsCreated, told.Fragment));
        Assert.Equal("put 10, delete 12 was 11", Describe(told));
        WatchRequest asked = script.Asked.Single();
        Assert.Equal(("a", "b", 7L), (Text(asked.Key), Text(asked.RangeEnd), asked.StartRevision.Value));
        Assert.Equal((false, true, true), (asked.NoPut, asked.NoDelete, asked.PreviousValue));
        Assert.Equal("x", Text(Assert.Single(asked.Predicates).Bytes));
    }

    [Fact]
    public async Task AWatchGoesOnAtAnotherNode_BehindWhatItWasTold()
    {
        var first = new Script();
        var second = new Script();
        ServedNode one = await ServedNode.StartAsync(new FakeNode(1) { Watch = first.Watch });
        await using ServedNode two = await ServedNode.StartAsync(new FakeNode(2) { Watch = second.Watch });
        await using MetaStoreClient client = ServedNode.Connect(null, one, two);
        await using IAsyncEnumerator<WatchResponse> watch = client.WatchAsync(new WatchRequest { Key = Bytes("k") }).GetAsyncEnumerator();
        ValueTask<bool> begun = watch.MoveNextAsync();
        await Until(() => first.Asked.Count + second.Asked.Count == 1, "a node was asked");
        (Script now, Script later, ServedNode node) = first.Asked.Count == 1 ? (first, second, one) : (second, first, two);

        // A long revision, of which a part comes before the node dies, is told once, and whole.
        now.Say(Created(4), Told(6, Event(5), Event(6)), Told(8, Event(8)) with { Fragment = true });
        Assert.True(await begun);
        Assert.Equal("put 5, put 6", Describe(await Next(watch)));
        await node.Server.DisposeAsync();
        later.Say(Created(9), Told(8, Event(8)) with { Fragment = true }, Told(8, Event(8)), Told(9, Event(9)));
        Assert.Equal("put 8, put 8", Describe(await Next(watch)));
        Assert.Equal("put 9", Describe(await Next(watch)));
        Assert.Equal(7, Assert.Single(later.Asked).StartRevision.Value);
        await one.Server.DisposeAsync();
    }

    [Fact]
    public async Task PartsThatWereTold_AreNotToldAgain()
    {
        var script = new Script();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Watch = script.Watch });
        await using MetaStoreClient client = served.Connect();
        await using IAsyncEnumerator<WatchResponse> watch = client.WatchAsync(new WatchRequest { Key = Bytes("k"), StartRevision = new Revision(2), Fragment = true }).GetAsyncEnumerator();
        script.Say(Created(4), Told(5, Event(4), Event(5), Event(5)) with { Fragment = true });
        Assert.True((await Next(watch)).IsCreated);
        Assert.Equal("put 4, put 5, put 5", Describe(await Next(watch)));
        script.Break(new MetaStoreException(MetaStoreError.NodeFailed, "gone"));
        script.Say(Created(9), Told(5, Event(5), Event(5), Event(5)) with { Fragment = true }, Told(5, Event(5)));
        Assert.Equal("put 5", Describe(await Next(watch)));
        Assert.Equal("put 5", Describe(await Next(watch)));
        Assert.Equal([2L, 5L], script.Asked.Select(asked => asked.StartRevision.Value));
    }

    [Fact]
    public async Task WordOfProgress_MovesTheRevisionOfTheNextConnection_AndIsToldToThoseWhoAsk()
    {
        foreach (bool asks in new[] { false, true })
        {
            var script = new Script();
            await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Watch = script.Watch });
            await using MetaStoreClient client = served.Connect();
            await using IAsyncEnumerator<WatchResponse> watch = client.WatchAsync(new WatchRequest { Key = Bytes("k"), ProgressNotify = asks }).GetAsyncEnumerator();
            script.Say(Created(4), Told(30) with { IsProgress = true });
            script.Break(new MetaStoreException(MetaStoreError.Stopped, "gone"));
            script.Say(Created(31), Told(31, Event(31)));
            Assert.True((await Next(watch)).IsCreated);
            if (asks)
            {
                Assert.True((await Next(watch)).IsProgress);
            }

            Assert.Equal("put 31", Describe(await Next(watch)));
            Assert.Equal([0L, 31L], script.Asked.Select(asked => asked.StartRevision.Value));
        }
    }

    [Fact]
    public async Task ACompactedWatch_SaysFromWhereItCouldGoOn()
    {
        var script = new Script();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Watch = script.Watch });
        await using MetaStoreClient client = served.Connect();
        await using IAsyncEnumerator<WatchResponse> watch = client.WatchAsync(new WatchRequest { Key = Bytes("k"), StartRevision = new Revision(2) }).GetAsyncEnumerator();
        script.Say(Created(40));
        script.Break(new CompactedException("too late", new Revision(33)));
        Assert.True((await Next(watch)).IsCreated);
        CompactedException compacted = await Assert.ThrowsAsync<CompactedException>(() => Next(watch));
        Assert.Equal((33L, MetaStoreError.Compacted), (compacted.CompactRevision.Value, compacted.Error));
    }

    [Fact]
    public async Task AWatchThatIsRefused_FailsAtOnce_AndOneThatNobodyServesInTime()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect();
        MetaStoreException refused = await Assert.ThrowsAsync<MetaStoreException>(() => Next(client.WatchAsync(new WatchRequest { Key = Bytes("k") }).GetAsyncEnumerator()));
        Assert.Equal(MetaStoreError.InvalidArgument, refused.Error);

        await using MetaStoreClient hasty = served.Connect(TimeSpan.FromMilliseconds(200));
        await served.Server.DisposeAsync();
        MetaStoreException gone = await Assert.ThrowsAsync<MetaStoreException>(() => Next(hasty.WatchAsync(new WatchRequest { Key = Bytes("k") }).GetAsyncEnumerator()));
        Assert.Equal((MetaStoreError.ConnectionLost, Outcome.NotApplied), (gone.Error, gone.Outcome));
    }

    /// <summary>Nobody reads one of two watches of one connection: it gets no more than its credit, and all else goes on.</summary>
    [Fact]
    public async Task ASlowWatch_HoldsUpNothingElse_AndGetsTheRestLater()
    {
        const int Responses = 200;
        var slow = new Script();
        var swift = new Script();
        var node = new FakeNode { Watch = (request, cancel) => (Text(request.Key) == "slow" ? slow : swift).Watch(request, cancel) };
        await using ServedNode served = await ServedNode.StartAsync(node);
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [served.Address], WatchBytesMax = 4096, RequestTimeout = Patience });
        await using IAsyncEnumerator<WatchResponse> first = client.WatchAsync(new WatchRequest { Key = Bytes("slow") }).GetAsyncEnumerator();
        await using IAsyncEnumerator<WatchResponse> second = client.WatchAsync(new WatchRequest { Key = Bytes("swift") }).GetAsyncEnumerator();
        for (int i = 0; i < Responses; i++)
        {
            slow.Say(i == 0 ? Created(1) : Told(i + 1, Event(i + 1, bytes: 1000)));
            swift.Say(i == 0 ? Created(1) : Told(i + 1, Event(i + 1, bytes: 1000)));
        }

        Assert.True((await Next(first)).IsCreated);
        Assert.True((await Next(second)).IsCreated);
        for (int i = 1; i < Responses; i++)
        {
            Assert.Equal($"put {i + 1}", Describe(await Next(second)));
        }

        await client.PingAsync();
        Assert.InRange(slow.Taken, 1, 8);
        for (int i = 1; i < Responses; i++)
        {
            Assert.Equal($"put {i + 1}", Describe(await Next(first)));
        }
    }

    [Fact]
    public async Task WhoLeaves_LeavesNothingBehindAtTheNode()
    {
        var leaving = new Script();
        var cancelling = new Script();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Watch = (request, token) => (Text(request.Key) == "l" ? leaving : cancelling).Watch(request, token) });
        await using MetaStoreClient client = served.Connect();
        using var cancel = new CancellationTokenSource();
        IAsyncEnumerator<WatchResponse> left = client.WatchAsync(new WatchRequest { Key = Bytes("l") }).GetAsyncEnumerator();
        IAsyncEnumerator<WatchResponse> cancelled = client.WatchAsync(new WatchRequest { Key = Bytes("k") }, cancel.Token).GetAsyncEnumerator();
        leaving.Say(Created(1));
        cancelling.Say(Created(1));
        await Next(left);
        await Next(cancelled);
        Assert.Equal(2, served.Server.WatchesInFlight);
        await left.DisposeAsync();
        Task next = Next(cancelled);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
        await Until(() => served.Server.WatchesInFlight == 0, "the node holds no watch");
        Assert.Equal(0, served.Server.RequestsInFlight);
    }

    [Fact]
    public async Task ANodeThatDrains_SendsItsWatchesElsewhere()
    {
        var first = new Script();
        var second = new Script();
        await using ServedNode one = await ServedNode.StartAsync(new FakeNode(1) { Watch = first.Watch });
        await using ServedNode two = await ServedNode.StartAsync(new FakeNode(2) { Watch = second.Watch });
        await using MetaStoreClient client = ServedNode.Connect(null, one, two);
        await using IAsyncEnumerator<WatchResponse> watch = client.WatchAsync(new WatchRequest { Key = Bytes("k") }).GetAsyncEnumerator();
        ValueTask<bool> begun = watch.MoveNextAsync();
        await Until(() => first.Asked.Count + second.Asked.Count == 1, "a node was asked");
        (Script now, Script later, ServedNode node) = first.Asked.Count == 1 ? (first, second, one) : (second, first, two);
        now.Say(Created(4), Told(5, Event(5)));
        Assert.True(await begun);
        Assert.Equal("put 5", Describe(await Next(watch)));
        await node.Server.DrainAsync();
        later.Say(Created(4), Told(6, Event(6)));
        Assert.Equal("put 6", Describe(await Next(watch)));
        Assert.Equal(6, Assert.Single(later.Asked).StartRevision.Value);
    }

    [Fact]
    public void OneEvent_IsEncodedOnce_ForAll()
    {
        WatchEvent e = Event(5);
        byte[] Frame(params WatchEvent[] events)
        {
            var response = new WatchResponse { Events = events };
            var body = new byte[WatchCodec.GetLength(response)];
            WatchCodec.WriteResponse(body, response);
            return body;
        }

        byte[] alone = Frame(e);
        int made = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            made += Frame(e, e).Length;
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.InRange(allocated, made, made + 4000); // The frames, and nothing for the events in them.
        WatchResponse back = WatchCodec.ReadResponse(alone);
        Assert.Equal("put 5", Describe(back));
    }

    private static async Task<WatchResponse> Next(IAsyncEnumerator<WatchResponse> watch)
    {
        Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(Patience));
        return watch.Current;
    }

    private static WatchResponse Created(long revision) => new() { Header = new ResponseHeader(1, 1, new Revision(revision), 1), IsCreated = true };

    private static WatchResponse Told(long revision, params WatchEvent[] events) => new() { Header = new ResponseHeader(1, 1, new Revision(revision), 1), Events = events };

    private static WatchEvent Event(long revision, bool previous = false, WatchEventType type = WatchEventType.Put, int bytes = 1) => new()
    {
        Type = type,
        KeyValue = new KeyValue(Bytes("k"), new byte[bytes], new Revision(1), new Revision(revision), 1, 0),
        Previous = previous ? new KeyValue(Bytes("k"), Bytes("old"), new Revision(1), new Revision(revision - 1), 1, 0) : null,
    };

    private static string Describe(WatchResponse response) => string.Join(", ", response.Events.Select(e =>
        $"{(e.Type == WatchEventType.Put ? "put" : "delete")} {e.KeyValue.ModRevision}{(e.Previous is { } previous ? $" was {previous.ModRevision}" : string.Empty)}"));

    private static string Text(ReadOnlyMemory<byte> bytes) => System.Text.Encoding.UTF8.GetString(bytes.Span);

    /// <summary>What a node says to the watches that ask it, one after the other, and where it breaks off.</summary>
    private sealed class Script
    {
        private readonly Channel<object> _lines = Channel.CreateUnbounded<object>();
        private int _taken;

        public List<WatchRequest> Asked { get; } = [];

        public int Taken => Volatile.Read(ref _taken);

        public void Say(params WatchResponse[] responses) => Array.ForEach(responses, response => Assert.True(_lines.Writer.TryWrite(response)));

        public void Break(Exception reason) => Assert.True(_lines.Writer.TryWrite(reason));

        public IAsyncEnumerable<WatchResponse> Watch(WatchRequest request, CancellationToken cancellationToken)
        {
            Asked.Add(request);
            return RunAsync(cancellationToken);
        }

        private async IAsyncEnumerable<WatchResponse> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            while (true)
            {
                object line = await _lines.Reader.ReadAsync(cancellationToken);
                Interlocked.Increment(ref _taken);
                yield return line as WatchResponse ?? throw (Exception)line;
            }
        }
    }
}
