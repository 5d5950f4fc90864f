using System.Threading.Tasks.Sources;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Replication;

/// <summary>
/// A pooled wait handle that carries its own result, so that nobody takes a second look at the store for it.
/// <para>
/// Two parties hold it: the caller, until it has taken the result, and the pipeline (proposer, applier), until it has completed or
/// given up the operation. Whoever lets go last returns it to the pool; the version in the ValueTask's token keeps a late
/// completion from reaching the next user. Invariant: completed exactly once in each life, by whoever wins <see cref="_state"/>.
/// </para>
/// <para>
/// A write begins as queued, and the proposer moves it on to waiting just before anybody else sees it. That step and a cancellation, which runs on any
/// thread, meet in <see cref="_state"/>, so one of two things is true: the cancellation came first, the write is never proposed, and its
/// caller is told so; or the step came first, and the outcome is open.
/// </para>
/// </summary>
internal sealed class PendingOperation
    : IValueTaskSource<StoreResponse>,
        IValueTaskSource<PutResponse>,
        IValueTaskSource<DeleteRangeResponse>,
        IValueTaskSource<TxnResponse>,
        IValueTaskSource<CompactResponse>,
        IValueTaskSource<MembersResponse>,
        IValueTaskSource<OpenSessionResponse>,
        IValueTaskSource<CloseSessionResponse>,
        IValueTaskSource<SessionResponse>,
        IValueTaskSource<LeaseGrantResponse>,
        IValueTaskSource<LeaseRevokeResponse>,
        IValueTaskSource<LeaseKeepAliveResponse>,
        IValueTaskSource<LeaseTimeToLiveResponse>,
        IValueTaskSource
{
    private const int Waiting = 0;
    private const int Completed = 1;
    private const int Queued = 2;

    private static readonly Action<object?, CancellationToken> s_cancel = static (handle, token) => ((PendingOperation)handle!).Cancel(token);

    private static readonly StoreRequest s_barrier = new CompactRequest(Revision.Current);

    private readonly PendingOperationPool _pool;
    private ManualResetValueTaskSourceCore<StoreResponse> _core;
    private CancellationTokenRegistration _cancellation;
    private int _state;
    private int _holders;

    public PendingOperation(PendingOperationPool pool)
    {
        _pool = pool;
        _core.RunContinuationsAsynchronously = pool.RunContinuationsAsynchronously;
    }

    public StoreRequest Request { get; private set; } = null!;

    /// <summary>It is counted among the writes (<see cref="PendingOperationPool.Writes"/>).</summary>
    public bool IsWrite { get; set; }

    /// <summary>What it is counted for among them (<see cref="PendingOperationPool.WriteBytes"/>).</summary>
    public int WriteBytes { get; set; }

    /// <summary>Bytes of the encoded request.</summary>
    public int RequestLength { get; private set; }

    /// <summary>When to give up, as a timestamp of the node's clock.</summary>
    public long Deadline { get; private set; }

    /// <summary>When it was submitted, as a timestamp of the node's clock.</summary>
    public long Submitted { get; private set; }

    /// <summary>
    /// A snapshot took the place of entries that came after the proposing: one of them may have been a copy of it, whose outcome nobody here will hear of.
    /// </summary>
    public bool IsBehindSnapshot { get; set; }

    public bool IsCompleted
    {
        get
        {
            SchedulePoint.Hit();
            return Volatile.Read(ref _state) == Completed;
        }
    }

    /// <summary>Names this life of the handle; a ValueTask of an earlier one is refused.</summary>
    public short Token => _core.Version;

    /// <summary>The request of a handle that waits for a read barrier and carries no operation.</summary>
    public static StoreRequest Barrier => s_barrier;

    /// <summary>Begins a life, with both holders in place. <paramref name="queued"/>: it goes to the proposer's queue.</summary>
    public void Begin(StoreRequest request, int requestLength, long submitted, long deadline, bool queued, CancellationToken cancellationToken)
    {
        Request = request;
        RequestLength = requestLength;
        Submitted = submitted;
        Deadline = deadline;
        _state = queued ? Queued : Waiting;
        _holders = 2;
        IsBehindSnapshot = false;
        if (cancellationToken.CanBeCanceled)
        {
            SchedulePoint.Hit();
            _cancellation = cancellationToken.UnsafeRegister(s_cancel, this);
        }
    }

    /// <summary>The proposer takes the write into a batch. False where it is completed, that is cancelled: then it must not be proposed.</summary>
    public bool TryPropose()
    {
        SchedulePoint.Hit();
        return Interlocked.CompareExchange(ref _state, Waiting, Queued) != Completed;
    }

    /// <summary>The batch went nowhere: the write is in the queue again. Leaves a completed one alone.</summary>
    public void PutBack()
    {
        SchedulePoint.Hit();
        Interlocked.CompareExchange(ref _state, Queued, Waiting);
    }

    public bool TryComplete(StoreResponse response)
    {
        SchedulePoint.Hit();
        if (Interlocked.Exchange(ref _state, Completed) == Completed)
        {
            return false;
        }

        SchedulePoint.Hit();
        _core.SetResult(response);
        return true;
    }

    public bool TryFail(Exception error)
    {
        SchedulePoint.Hit();
        if (Interlocked.Exchange(ref _state, Completed) == Completed)
        {
            return false;
        }

        SchedulePoint.Hit();
        _core.SetException(error);
        return true;
    }

    /// <summary>The pipeline is done with the operation: it has completed it, or found it completed.</summary>
    public void ReleaseByPipeline() => Release();

    public StoreResponse GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            // Waits for a running cancellation callback, so that none can reach the handle's next life.
            SchedulePoint.AwaitIdle(this);
            _cancellation.Dispose();
            _cancellation = default;
            Release();
        }
    }

    PutResponse IValueTaskSource<PutResponse>.GetResult(short token) => (PutResponse)GetResult(token);

    DeleteRangeResponse IValueTaskSource<DeleteRangeResponse>.GetResult(short token) => (DeleteRangeResponse)GetResult(token);

    TxnResponse IValueTaskSource<TxnResponse>.GetResult(short token) => (TxnResponse)GetResult(token);

    CompactResponse IValueTaskSource<CompactResponse>.GetResult(short token) => (CompactResponse)GetResult(token);

    MembersResponse IValueTaskSource<MembersResponse>.GetResult(short token) => (MembersResponse)GetResult(token);

    OpenSessionResponse IValueTaskSource<OpenSessionResponse>.GetResult(short token) => (OpenSessionResponse)GetResult(token);

    CloseSessionResponse IValueTaskSource<CloseSessionResponse>.GetResult(short token) => (CloseSessionResponse)GetResult(token);

    SessionResponse IValueTaskSource<SessionResponse>.GetResult(short token) => (SessionResponse)GetResult(token);

    LeaseGrantResponse IValueTaskSource<LeaseGrantResponse>.GetResult(short token) => (LeaseGrantResponse)GetResult(token);

    LeaseRevokeResponse IValueTaskSource<LeaseRevokeResponse>.GetResult(short token) => (LeaseRevokeResponse)GetResult(token);

    LeaseKeepAliveResponse IValueTaskSource<LeaseKeepAliveResponse>.GetResult(short token) => (LeaseKeepAliveResponse)GetResult(token);

    LeaseTimeToLiveResponse IValueTaskSource<LeaseTimeToLiveResponse>.GetResult(short token) => (LeaseTimeToLiveResponse)GetResult(token);

    void IValueTaskSource.GetResult(short token) => GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private void Cancel(CancellationToken token)
    {
        SchedulePoint.Busy(this);
        SchedulePoint.Hit();
        int before = Interlocked.Exchange(ref _state, Completed);
        SchedulePoint.Hit();
        switch (before)
        {
            case Queued:
                _core.SetException(new OperationNotProposedException(token));
                break;
            case Waiting:
                _core.SetException(new OperationCanceledException(token));
                break;
        }

        SchedulePoint.Unlock(this);
    }

    private void Release()
    {
        SchedulePoint.Hit();
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            SchedulePoint.Hit();
            Request = null!;
            _core.Reset();
            SchedulePoint.Hit();
            _pool.Return(this);
        }
    }
}
