using System.Threading.Tasks.Sources;
using MetaStore.Engine;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Replication;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum HandleBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>The handle goes back with the caller, whoever else may still complete it.</summary>
    GoesBackWithTheCaller,

    /// <summary>A cancellation that is running is not waited for.</summary>
    DoesNotAwaitTheCancellation,

    /// <summary>Whether it was cancelled is looked at, and then it counts as proposed.</summary>
    ProposesInTwoSteps,

    /// <summary>Whether it is completed is looked at, and then it is.</summary>
    CompletesInTwoSteps,

    /// <summary>The pool has it before it is reset.</summary>
    GoesBackBeforeItIsReset,
}

/// <summary>A frozen copy of <see cref="PendingOperation"/> and its pool, with a bug.</summary>
internal sealed class BuggyHandlePool(HandleBug bug) : IHandlePool
{
    private readonly Stack<BuggyHandle> _idle = new();

    public long Rented { get; private set; }

    public IHandle Rent()
    {
        SchedulePoint.Hit();
        Rented++;
        return _idle.TryPop(out BuggyHandle? handle) ? handle : new BuggyHandle(this, bug);
    }

    public void Return(BuggyHandle handle)
    {
        Rented--;
        _idle.Push(handle);
    }
}

internal sealed class BuggyHandle(BuggyHandlePool pool, HandleBug bug) : IHandle
{
    private const int Waiting = 0;
    private const int Completed = 1;
    private const int Queued = 2;

    private static readonly Action<object?, CancellationToken> s_cancel = static (handle, token) => ((BuggyHandle)handle!).Cancel(token);

    private ManualResetValueTaskSourceCore<StoreResponse> _core;
    private CancellationTokenRegistration _cancellation;
    private int _state;
    private int _holders;

    public short Token => _core.Version;

    public void Begin(CancellationToken cancellationToken)
    {
        _state = Queued;
        _holders = bug == HandleBug.GoesBackWithTheCaller ? 1 : 2;
        SchedulePoint.Hit();
        _cancellation = cancellationToken.UnsafeRegister(s_cancel, this);
    }

    public bool TryPropose()
    {
        SchedulePoint.Hit();
        if (bug != HandleBug.ProposesInTwoSteps)
        {
            return Interlocked.CompareExchange(ref _state, Waiting, Queued) != Completed;
        }

        if (Volatile.Read(ref _state) == Completed)
        {
            return false;
        }

        SchedulePoint.Hit();
        Volatile.Write(ref _state, Waiting);
        return true;
    }

    public void PutBack()
    {
        SchedulePoint.Hit();
        Interlocked.CompareExchange(ref _state, Queued, Waiting);
    }

    public bool TryComplete(StoreResponse response)
    {
        if (!TryEnd())
        {
            return false;
        }

        SchedulePoint.Hit();
        _core.SetResult(response);
        return true;
    }

    public bool TryFail(Exception error)
    {
        if (!TryEnd())
        {
            return false;
        }

        SchedulePoint.Hit();
        _core.SetException(error);
        return true;
    }

    public void ReleaseByPipeline()
    {
        if (bug != HandleBug.GoesBackWithTheCaller)
        {
            Release();
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public StoreResponse GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            if (bug == HandleBug.DoesNotAwaitTheCancellation)
            {
                _cancellation.Unregister();
            }
            else
            {
                SchedulePoint.AwaitIdle(this);
                _cancellation.Dispose();
            }

            _cancellation = default;
            Release();
        }
    }

    private bool TryEnd()
    {
        SchedulePoint.Hit();
        if (bug != HandleBug.CompletesInTwoSteps)
        {
            return Interlocked.Exchange(ref _state, Completed) != Completed;
        }

        if (Volatile.Read(ref _state) == Completed)
        {
            return false;
        }

        SchedulePoint.Hit();
        Volatile.Write(ref _state, Completed);
        return true;
    }

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
        if (Interlocked.Decrement(ref _holders) != 0)
        {
            return;
        }

        if (bug == HandleBug.GoesBackBeforeItIsReset)
        {
            pool.Return(this);
            SchedulePoint.Hit();
            _core.Reset();
            return;
        }

        SchedulePoint.Hit();
        _core.Reset();
        SchedulePoint.Hit();
        pool.Return(this);
    }
}
