using System.Text;
using MetaStore.Engine.Hosting;

namespace MetaStore.Engine.Tests;

/// <summary>
/// <see cref="MetaStoreSession"/> with many writes under way, on one thread: everything that can go on has gone on when the node is settled, so a test
/// says itself which try is lost, held back or late.
/// </summary>
public sealed class SessionClientTests : IDisposable
{
    private readonly SteppedNode _node = new();
    private readonly Tries _tries;

    public SessionClientTests() => _tries = new Tries(_node.Core);

    public void Dispose() => _node.Dispose();

    [Fact]
    public void AWriteWhoseFirstTryIsLost_HoldsOthersUp_AndFailsNone()
    {
        const int Writers = 32;
        const int Each = 64;
        MetaStoreSession session = Open();
        TaskCompletionSource<SessionResponse> first = _tries.Hold(sequence: 1);
        Task[] writing = [.. Enumerable.Range(0, Writers).Select(_ => WriteAsync(session, Each))];
        _node.Settle();
        Assert.Equal((ulong)SessionRequest.UnacknowledgedMax, _tries.HighestSequence);
        Assert.All(writing, task => Assert.False(task.IsCompleted));

        first.SetException(Lost());
        _node.Wait(WhenAll(writing));
        Assert.Equal($"@{1 + (Writers * Each)} count 1 k=v(c2 m{1 + (Writers * Each)} v{Writers * Each} l0)", _node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    /// <summary>A copy that was on its way all the time comes after the answer to the second try, and finds that it was applied, or given up.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ACopyThatComesLate_DoesNothing(bool othersWroteSince)
    {
        MetaStoreSession session = Open();
        TaskCompletionSource<SessionResponse> first = _tries.Hold(sequence: 1);
        ValueTask<PutResponse> put = session.PutAsync(new PutRequest { Key = Bytes("k"), Value = Bytes("late") });
        SessionRequest copy = _tries.Last!;
        Task[] others = [.. Enumerable.Range(0, 8).Select(_ => WriteAsync(session, 150))];
        _node.Settle();
        first.SetException(Lost());
        Assert.Equal(1025, _node.Wait(put).Header.Revision.Value);
        _node.Wait(WhenAll(others));
        if (othersWroteSince)
        {
            _node.Wait(session.PutAsync(new PutRequest { Key = Bytes("other") }));
        }

        string before = _node.Run(new RangeRequest { Key = Bytes("k") });
        Assert.Equal(MetaStoreError.SessionSequenceTooOld, Assert.Throws<MetaStoreException>(() => _node.Wait(_node.Core.ExecuteAsync(copy))).Error);
        Assert.Equal(before, _node.Run(new RangeRequest { Key = Bytes("k") }));
    }

    /// <summary>An error of a later try says nothing of the copy that went without answer, unless it is the write's own answer.</summary>
    [Theory]
    [InlineData(MetaStoreError.KeyNotFound, Outcome.NotApplied)]
    [InlineData(MetaStoreError.Compacted, Outcome.NotApplied)]
    [InlineData(MetaStoreError.LeaseExists, Outcome.NotApplied)]
    [InlineData(MetaStoreError.SessionFull, Outcome.Unknown)]
    [InlineData(MetaStoreError.SessionNotFound, Outcome.Unknown)]
    [InlineData(MetaStoreError.SessionSequenceTooOld, Outcome.Unknown)]
    [InlineData(MetaStoreError.RequestTooLarge, Outcome.Unknown)]
    [InlineData(MetaStoreError.InvalidArgument, Outcome.Unknown)]
    [InlineData(MetaStoreError.WitnessMember, Outcome.Unknown)]
    [InlineData(MetaStoreError.NoLeader, Outcome.Unknown)]
    public void AfterATryWithoutAnswer_OnlyTheWritesOwnAnswerIsDefinite(MetaStoreError error, Outcome expected)
    {
        foreach (bool isUncertain in new[] { true, false })
        {
            MetaStoreSession session = Open(repeatFor: TimeSpan.FromMilliseconds(15));
            TaskCompletionSource<SessionResponse> first = _tries.Hold(sequence: 1);
            ValueTask<PutResponse> put = session.PutAsync(new PutRequest { Key = Bytes("k") });
            TaskCompletionSource<SessionResponse> second = _tries.Hold(sequence: 1);
            first.SetException(isUncertain ? Lost() : new MetaStoreException(MetaStoreError.Busy, "busy"));
            second.SetException(new MetaStoreException(error, "no"));
            MetaStoreException failure = Assert.Throws<MetaStoreException>(() => _node.Wait(put));
            Assert.Equal((error, isUncertain ? expected : Outcome.NotApplied), (failure.Error, failure.Outcome));
        }
    }

    [Fact]
    public void ASessionThatIsFull_IsAskedAgain()
    {
        MetaStoreSession session = Open();
        _tries.Hold(sequence: 1).SetException(new MetaStoreException(MetaStoreError.SessionFull, "full"));
        Assert.Equal(2, _node.Wait(session.PutAsync(new PutRequest { Key = Bytes("k") })).Header.Revision.Value);
    }

    [Fact]
    public void WritesThatWait_GoInTheirOrder_AndCanBeCalledOff()
    {
        MetaStoreSession session = Open(writesMax: 1);
        TaskCompletionSource<SessionResponse> first = _tries.Hold(sequence: 1);
        using var cancellation = new CancellationTokenSource();
        Task<PutResponse>[] puts = [.. Enumerable.Range(0, 4).Select(i => session.PutAsync(
            new PutRequest { Key = Bytes($"{i}") }, i == 1 ? cancellation.Token : default).AsTask())];
        cancellation.Cancel();
        Assert.True(puts[1].IsCanceled);
        first.SetException(Lost());
        _node.Wait(WhenAll([puts[0], puts[2], puts[3]]));
        Assert.Equal([2, 3, 4], new[] { puts[0], puts[2], puts[3] }.Select(put => put.Result.Header.Revision.Value));
        Assert.Equal(3ul, _tries.HighestSequence);
    }

    [Fact]
    public void ASessionThatEnds_RefusesTheWritesThatWait()
    {
        MetaStoreSession session = Open(writesMax: 1);
        _tries.Hold(sequence: 1);
        ValueTask<PutResponse> first = session.PutAsync(new PutRequest { Key = Bytes("k") });
        ValueTask<PutResponse> second = session.PutAsync(new PutRequest { Key = Bytes("k") });
        ValueTask end = session.DisposeAsync();
        _node.Settle();
        Assert.True(end.IsCompletedSuccessfully);
        MetaStoreException refusal = Assert.Throws<MetaStoreException>(() => _node.Wait(second));
        Assert.Equal((MetaStoreError.Stopped, Outcome.NotApplied, false), (refusal.Error, refusal.Outcome, first.IsCompleted));
        Assert.Equal(MetaStoreError.Stopped, Assert.Throws<MetaStoreException>(() => _node.Wait(session.PutAsync(new PutRequest { Key = Bytes("k") }))).Error);
    }

    private static MetaStoreException Lost() => new(MetaStoreError.ConnectionLost, "lost", Outcome.Unknown);

    private static async Task WriteAsync(MetaStoreSession session, int writes)
    {
        for (int i = 0; i < writes; i++)
        {
            await session.PutAsync(new PutRequest { Key = Bytes("k"), Value = Bytes("v") }).ConfigureAwait(false);
        }
    }

    private static async ValueTask<bool> WhenAll(Task[] tasks)
    {
        await Task.WhenAll(tasks).ConfigureAwait(false);
        return true;
    }

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);

    private MetaStoreSession Open(TimeSpan? repeatFor = null, int writesMax = 256)
    {
        // The runner's context, which it takes away after the test itself, would have continuations run on other threads.
        SynchronizationContext.SetSynchronizationContext(null);
        return _node.Wait(MetaStoreSession.OpenAsync(_tries, new MetaStoreSessionOptions
        {
            TimeProvider = _node.Time,
            RepeatFor = repeatFor ?? TimeSpan.FromSeconds(30),
            WritesMax = writesMax,
            RunContinuationsAsynchronously = false,
        }));
    }

    /// <summary>The way to the node, with the tries of a test's choice taken off it.</summary>
    private sealed class Tries(NodeCore node) : IMetaStore, IMetaStoreSessions
    {
        private readonly Dictionary<ulong, TaskCompletionSource<SessionResponse>> _held = [];

        public ulong HighestSequence { get; private set; }

        public SessionRequest? Last { get; private set; }

        /// <summary>The next try of the write goes nowhere; the test answers it.</summary>
        public TaskCompletionSource<SessionResponse> Hold(ulong sequence) => _held[sequence] = new TaskCompletionSource<SessionResponse>();

        public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default)
        {
            Last = request;
            HighestSequence = Math.Max(HighestSequence, request.Sequence);
            return _held.Remove(request.Sequence, out TaskCompletionSource<SessionResponse>? held)
                ? new ValueTask<SessionResponse>(held.Task)
                : node.ExecuteAsync(request, cancellationToken);
        }

        public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) => node.OpenSessionAsync(cancellationToken);

        public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) => node.CloseSessionAsync(sessionId, cancellationToken);

        public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) => node.RangeAsync(request, cancellationToken);

        public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
