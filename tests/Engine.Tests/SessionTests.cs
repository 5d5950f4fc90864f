using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Sessions;
using MetaStore.Engine.Snapshots;
using MetaStore.Testing;

namespace MetaStore.Engine.Tests;

/// <summary>A request of a session is applied once, however often it comes.</summary>
public sealed class SessionTests
{
    [Fact]
    public void ARequestThatComesAgain_IsAnsweredFromWhatWasKept()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        SessionRequest put = Request(session, 1, Put("k", "a") with { ReturnPrevious = true });
        SessionResponse first = node.Wait(node.Core.ExecuteAsync(put));
        SessionResponse between = node.Wait(node.Core.ExecuteAsync(Request(session, 2, Put("k", "b"))));
        SessionResponse again = node.Wait(node.Core.ExecuteAsync(put));
        Assert.Equal((false, true), (first.IsRepeated, again.IsRepeated));
        Assert.Equal(first.Answer, again.Answer);
        Assert.Equal(2, first.Answer.Header.Revision.Value);
        Assert.Equal(between.Answer.Header.Revision, again.Header.Revision);
        Assert.Equal("@3 count 1 k=b(c2 m3 v2 l0)", node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatWasKept_OutlivesARestart(bool bySnapshot)
    {
        using var node = new SteppedNode(bySnapshot ? new SnapshotOptions { EntriesMin = 5, LogBytesMin = 1, EntriesKept = 0 } : null);
        ulong session = Open(node);
        SessionRequest delete = Request(session, 1, new DeleteRangeRequest { Key = Bytes("k"), ReturnPrevious = true });
        node.Run(Put("k", "a"));
        StoreResponse first = node.Wait(node.Core.ExecuteAsync(delete)).Answer;
        for (int i = 0; i < 40; i++)
        {
            node.Run(Put("k", $"{i}"));
        }

        Assert.Equal(bySnapshot, node.Wait(node.Core.StatusAsync()).SnapshotIndex > 20);
        node.Restart(CrashPolicy.ProcessKill);
        SessionResponse again = node.Wait(node.Core.ExecuteAsync(delete));
        Assert.True(again.IsRepeated);
        Assert.Equal(((DeleteRangeResponse)first).Previous.Single().Value.ToArray(), ((DeleteRangeResponse)again.Answer).Previous.Single().Value.ToArray());
        Assert.Contains("k=39", node.Run(new RangeRequest { Key = Bytes("k") }), StringComparison.Ordinal);
        Assert.Equal(session + 1, Open(node));
    }

    [Fact]
    public void AnError_IsAnAnswerToo()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        SessionRequest keep = Request(session, 1, new PutRequest { Key = Bytes("k"), IgnoreValue = true });
        Assert.Equal(MetaStoreError.KeyNotFound, Fails(node, keep));
        node.Run(Put("k", "a"));
        Assert.Equal(MetaStoreError.KeyNotFound, Fails(node, keep));
        Assert.Equal("@2 count 1 k=a(c2 m2 v1 l0)", node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    [Fact]
    public void WhatIsAcknowledged_IsForgotten_AndNeverAppliedLate()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        node.Wait(node.Core.ExecuteAsync(Request(session, 1, Put("k", "a"))));
        node.Wait(node.Core.ExecuteAsync(Request(session, 3, Put("k", "c"), acknowledgedBelow: 3)));
        Assert.Equal(MetaStoreError.SessionSequenceTooOld, Fails(node, Request(session, 1, Put("k", "a"))));
        Assert.Equal(MetaStoreError.SessionSequenceTooOld, Fails(node, Request(session, 2, Put("k", "b"))));
        Assert.Equal(3ul, Assert.Single(node.Core.View.Sessions.Find(session)!.Answers).Key);
        Assert.Equal("@3 count 1 k=c(c2 m3 v2 l0)", node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    [Fact]
    public void TheSessionNotUsedForLongest_MakesRoom()
    {
        using var node = new SteppedNode(sessionsMax: 2);
        ulong first = Open(node);
        ulong second = Open(node);
        node.Wait(node.Core.ExecuteAsync(Request(first, 1, Put("k", "a"))));
        ulong third = Open(node);
        Assert.Equal(MetaStoreError.SessionNotFound, Fails(node, Request(second, 1, Put("k", "b"))));
        node.Wait(node.Core.ExecuteAsync(Request(first, 2, Put("k", "c"))));
        node.Wait(node.Core.CloseSessionAsync(first));
        Assert.Equal(MetaStoreError.SessionNotFound, Fails(node, Request(first, 3, Put("k", "d"))));
        node.Wait(node.Core.ExecuteAsync(Request(third, 1, Put("k", "e"))));
        Assert.Equal("@4 count 1 k=e(c2 m4 v3 l0)", node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    [Fact]
    public void AnAnswerTooLargeToKeep_IsNotGivenTwice_AndItsRequestIsStillAppliedOnce()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        node.Run(new PutRequest { Key = Bytes("k"), Value = new byte[SessionRequest.KeptAnswerBytesMax] });
        SessionRequest put = Request(session, 1, Put("k", "a") with { ReturnPrevious = true });
        Assert.NotNull(((PutResponse)node.Wait(node.Core.ExecuteAsync(put)).Answer).Previous);
        MetaStoreException error = Assert.Throws<MetaStoreException>(() => node.Wait(node.Core.ExecuteAsync(put)));
        Assert.Equal((MetaStoreError.AnswerNotKept, Outcome.Unknown), (error.Error, error.Outcome));
        Assert.Equal("@3 count 1 k=a(c2 m3 v2 l0)", node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    /// <summary>What is applied stays so, and a repeat is told the same.</summary>
    [Fact]
    public void AnAnswerTooLargeToGive_IsNamed_AndItsRequestIsAppliedAllTheSame()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        const int ValueBytes = 1 << 20;
        const int Keys = StoreLimits.AnswerBytesMax / ValueBytes; // with the keys themselves it is a few bytes more than may be
        for (int i = 0; i < Keys; i++)
        {
            node.Wait(node.Core.PutAsync(new PutRequest { Key = Bytes($"k{i:00}"), Value = new byte[ValueBytes] }));
        }

        var all = new RangeRequest { Key = Bytes("k"), RangeEnd = Bytes("l") };
        RangeRequest sorted = all with { SortTarget = SortTarget.ModRevision };
        RangeRequest half = all with { Limit = Keys / 2 };
        PutRequest put = Put("x", "1");
        TxnRequest[] tooMuch =
        [
            new TxnRequest { Success = [put, all] }, new TxnRequest { Success = [put, sorted] }, new TxnRequest { Success = [put, half, half, half with { Limit = 1 }] },
            new TxnRequest { Success = [new TxnRequest { Success = [half] }, half, put, new RangeRequest { Key = Bytes("k00") }] },
        ];
        int written = 0;
        foreach (TxnRequest txn in tooMuch)
        {
            MetaStoreException refusal = Assert.Throws<MetaStoreException>(() => node.Wait(node.Core.TxnAsync(txn)));
            Assert.Equal((MetaStoreError.ResponseTooLarge, Outcome.Unknown), (refusal.Error, refusal.Outcome));
            Assert.StartsWith("the request was applied", refusal.Message, StringComparison.Ordinal);
            Assert.Equal(++written, node.Wait(node.Core.RangeAsync(new RangeRequest { Key = Bytes("x") })).Items.Single().Version);
        }

        MetaStoreException read = Assert.Throws<MetaStoreException>(() => node.Wait(node.Core.TxnAsync(new TxnRequest { Success = [half, half, half with { Limit = 1 }] })));
        Assert.Equal((MetaStoreError.ResponseTooLarge, Outcome.NotApplied), (read.Error, read.Outcome));
        Assert.Equal(2, node.Wait(node.Core.TxnAsync(new TxnRequest { Success = [put, half, half with { Limit = 5 }] })).Responses.Skip(1).Count(part => part is RangeResponse { Items.Count: > 4 }));

        SessionRequest delete = Request(session, 1, new DeleteRangeRequest { Key = Bytes("k"), RangeEnd = Bytes("l"), ReturnPrevious = true });
        Assert.Equal(MetaStoreError.ResponseTooLarge, Fails(node, delete));
        Assert.Equal(0, node.Wait(node.Core.RangeAsync(all)).Count);
        node.Wait(node.Core.PutAsync(Put("k", "2")));
        Assert.Equal(MetaStoreError.ResponseTooLarge, Fails(node, delete));
        Assert.Equal(1, node.Wait(node.Core.RangeAsync(all)).Count);
    }

    [Fact]
    public void ASessionThatAcknowledgesNothing_IsStopped()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        for (ulong i = 1; i <= SessionRequest.UnacknowledgedMax; i++)
        {
            node.Wait(node.Core.ExecuteAsync(Request(session, i, Put("k", "a"))));
        }

        Assert.Equal(MetaStoreError.SessionFull, Fails(node, Request(session, SessionRequest.UnacknowledgedMax + 1, Put("k", "b"))));
        node.Wait(node.Core.ExecuteAsync(Request(session, SessionRequest.UnacknowledgedMax + 1, Put("k", "b"), acknowledgedBelow: 2)));
    }

    /// <summary>Or a write that was lost once would be refused for ever by those that came after it.</summary>
    [Fact]
    public void TheLowestNumberThatIsNotAcknowledged_IsTakenHoweverMuchIsKept()
    {
        using var node = new SteppedNode();
        ulong session = Open(node);
        for (ulong i = 2; i <= SessionRequest.UnacknowledgedMax; i++)
        {
            node.Wait(node.Core.ExecuteAsync(Request(session, i, Put("k", "a"), acknowledgedBelow: 1)));
        }

        Assert.Equal(MetaStoreError.SessionFull, Fails(node, Request(session, SessionRequest.UnacknowledgedMax + 1, Put("k", "b"), acknowledgedBelow: 1)));
        Assert.False(node.Wait(node.Core.ExecuteAsync(Request(session, 1, Put("k", "c"), acknowledgedBelow: 1))).IsRepeated);
        Assert.Equal(SessionRequest.UnacknowledgedMax, node.Core.View.Sessions.Find(session)!.Answers.Count);
    }

    [Theory]
    [InlineData(0, 1, 0)]
    [InlineData(1, 0, 0)]
    [InlineData(1, 5, 6)]
    public void ARequestWithoutSense_IsRefusedAtTheDoor(ulong session, ulong sequence, ulong acknowledgedBelow)
    {
        using var node = new SteppedNode();
        Assert.Equal(MetaStoreError.InvalidArgument, Fails(node, Request(session, sequence, Put("k", "a"), acknowledgedBelow)));
        Assert.Equal(MetaStoreError.InvalidArgument, Fails(node, Request(1, 1, new RangeRequest { Key = Bytes("k") })));
        Assert.Equal(MetaStoreError.EmptyKey, Fails(node, Request(1, 1, Put(string.Empty, "a"))));
    }

    [Fact]
    public void AKeptAnswer_HasTheseBytes_AndComesBack()
    {
        var header = new ResponseHeader(7, 8, new Revision(5), 3);
        var item = new KeyValue(Bytes("k"), Bytes("vw"), new Revision(2), new Revision(4), 3, 9);
        var answer = new TxnResponse
        {
            Header = header,
            Succeeded = true,
            Responses =
            [
                new PutResponse { Header = new ResponseHeader(0, 0, new Revision(5), 0), Previous = item },
                new RangeResponse { Header = new ResponseHeader(0, 0, new Revision(5), 0), Count = 1, More = true },
                new DeleteRangeResponse { Header = new ResponseHeader(0, 0, new Revision(5), 0), Deleted = 6 },
            ],
        };
        byte[] bytes = AnswerCodec.Encode(answer, 1000)!;
        string revision = "0500000000000000";
        Assert.Equal(
            "0300000000000000" + "04" + revision + "01" + "03000000"
            + "01" + revision + "01" + "0200000000000000" + "0400000000000000" + "0300000000000000" + "0900000000000000" + "01000000" + "6B" + "02000000" + "7677"
            + "02" + revision + "01" + "0100000000000000" + "00000000"
            + "03" + revision + "0600000000000000" + "00000000",
            Convert.ToHexString(bytes));
        var back = (TxnResponse)AnswerCodec.Decode(bytes, new ResponseHeader(7, 1, new Revision(99), 98));
        Assert.Equal(header with { NodeId = 1 }, back.Header);
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(AnswerCodec.Encode(back, bytes.Length)!));
        Assert.Null(AnswerCodec.Encode(answer, bytes.Length - 1));
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<RequestFormatException>(() => AnswerCodec.Decode(bytes.AsMemory(0, length), header));
        }
    }

    [Fact]
    public async Task AStoreThatLosesAnswers_AppliesEachWriteOnce()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
        try
        {
            await using MetaStoreNode node = MetaStoreNode.OpenSingle(directory);
            var lossy = new LossyStore(node);
            await using MetaStoreSession session = await MetaStoreSession.OpenAsync(lossy, new MetaStoreSessionOptions { PauseMin = TimeSpan.FromTicks(1), PauseMax = TimeSpan.FromTicks(1) });
            PutResponse[] puts = await Task.WhenAll(Enumerable.Range(0, 300).Select(i => session.PutAsync(Put("k", $"{i}")).AsTask()));
            Assert.True(lossy.Lost > 100, "answers were lost");
            Assert.Equal(300, puts.Select(put => put.Header.Revision).Distinct().Count());
            RangeResponse range = await session.RangeAsync(new RangeRequest { Key = Bytes("k") });
            Assert.Equal((300L, 301L), (range.Items.Single().Version, range.Header.Revision.Value));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static ulong Open(SteppedNode node) => node.Wait(node.Core.OpenSessionAsync()).SessionId;

    private static MetaStoreError Fails(SteppedNode node, SessionRequest request) =>
        Assert.Throws<MetaStoreException>(() => node.Wait(node.Core.ExecuteAsync(request))).Error;

    private static SessionRequest Request(ulong session, ulong sequence, StoreRequest request, ulong acknowledgedBelow = 0) =>
        new() { SessionId = session, Sequence = sequence, AcknowledgedBelow = acknowledgedBelow, Request = request };

    private static PutRequest Put(string key, string value) => new() { Key = Bytes(key), Value = Bytes(value) };

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);

    /// <summary>Carries out everything, and loses each other answer to a write.</summary>
    private sealed class LossyStore(MetaStoreNode node) : IMetaStore, IMetaStoreSessions
    {
        private int _calls;

        public int Lost => _calls / 2;

        public async ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default)
        {
            SessionResponse response = await node.ExecuteAsync(request, cancellationToken);
            return Interlocked.Increment(ref _calls) % 2 == 0 ? response : throw new MetaStoreException(MetaStoreError.ConnectionLost, "lost", Outcome.Unknown);
        }

        public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) => node.OpenSessionAsync(cancellationToken);

        public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) => node.CloseSessionAsync(sessionId, cancellationToken);

        public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) => node.RangeAsync(request, cancellationToken);

        public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
