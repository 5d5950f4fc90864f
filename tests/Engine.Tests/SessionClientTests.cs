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

    private MetaStoreSession Open(TimeSpan? repeatFor = null)
    {
        // The runner's context, which it takes away after the test itself, would have continuations run on other threads.
        SynchronizationContext.SetSynchronizationContext(null);
        return _node.Wait(MetaStoreSession.OpenAsync(_tries, new MetaStoreSessionOptions
        {
            TimeProvider = _node.Time,
            RepeatFor = repeatFor ?? TimeSpan.FromSeconds(30),
        }));
    }

    /// <summary>The way to the node, with the tries of a test's choice taken off it.</summary>
    private sealed class Tries(NodeCore node) : IMetaStore, IMetaStoreSessions
    {
        private readonly Dictionary<ulong, TaskCompletionSource<SessionResponse>> _held = [];

        public ulong HighestSequence { get; private set; }

        /// <summary>The next try of the write goes nowhere; the test answers it.</summary>
        public TaskCompletionSource<SessionResponse> Hold(ulong sequence) => _held[sequence] = new TaskCompletionSource<SessionResponse>();

        public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default)
        {
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

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
