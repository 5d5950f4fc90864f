using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;
using MetaStore.Engine;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Replication;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>What a <see cref="PendingOperation"/> does, for it and its twins.</summary>
internal interface IHandle
{
    short Token { get; }

    void Begin(CancellationToken cancellationToken);

    bool TryPropose();

    void PutBack();

    bool TryComplete(StoreResponse response);

    bool TryFail(Exception error);

    void ReleaseByPipeline();

    ValueTaskSourceStatus GetStatus(short token);

    StoreResponse GetResult(short token);
}

internal interface IHandlePool
{
    /// <summary>Handles that somebody still holds.</summary>
    long Rented { get; }

    IHandle Rent();
}

internal sealed class RealHandlePool : IHandlePool
{
    private readonly PendingOperationPool _pool = new(runContinuationsAsynchronously: false, retained: 4);

    public long Rented => _pool.Rented;

    public IHandle Rent() => new Handle(_pool.Rent());

    private sealed class Handle(PendingOperation operation) : IHandle
    {
        public short Token => operation.Token;

        public void Begin(CancellationToken cancellationToken) => operation.Begin(PendingOperation.Barrier, 1, 0, long.MaxValue, queued: true, cancellationToken);

        public bool TryPropose() => operation.TryPropose();

        public void PutBack() => operation.PutBack();

        public bool TryComplete(StoreResponse response) => operation.TryComplete(response);

        public bool TryFail(Exception error) => operation.TryFail(error);

        public void ReleaseByPipeline() => operation.ReleaseByPipeline();

        public ValueTaskSourceStatus GetStatus(short token) => operation.GetStatus(token);

        public StoreResponse GetResult(short token) => operation.GetResult(token);
    }
}

/// <summary>What the pipeline does with a request.</summary>
internal enum Fate
{
    Completes,

    /// <summary>Its batch goes nowhere at first.</summary>
    IsPutBackAndCompletes,

    TimesOut,
}

/// <summary>
/// Callers rent wait handles, one after the other; the pipeline proposes, puts back, completes or gives up; somebody cancels. Each caller is told of its own request and of nothing else: its
/// answer, its deadline, its cancellation. Who is told "not proposed" was not proposed. At the end all handles are back.
/// </summary>
/// <param name="create">The pool.</param>
/// <param name="fates">Of the first caller's requests, then of the second's.</param>
/// <param name="callers">One or two, with equally many requests.</param>
/// <param name="cancelled">The requests that are cancelled.</param>
internal sealed class HandleScenario(Func<IHandlePool> create, Fate[] fates, int callers, int[] cancelled) : Scenario
{
    private readonly CancellationTokenSource[] _cancellations = new CancellationTokenSource[fates.Length];
    private readonly StoreResponse[] _answers = [.. fates.Select(_ => new PutResponse())];
    private readonly TimeoutException[] _timeouts = new TimeoutException[fates.Length];
    private readonly ConcurrentQueue<(int Request, IHandle Handle)> _queue = new();
    private readonly bool[] _isProposed = new bool[fates.Length];
    private readonly bool[] _isToldNotProposed = new bool[fates.Length];
    private IHandlePool _pool = null!;

    public override IReadOnlyList<string> Threads { get; } = ["pipeline", "canceller", .. Enumerable.Range(1, callers).Select(i => $"caller {i}")];

    public override void Begin()
    {
        _pool = create();
        _queue.Clear();
        _isProposed.AsSpan().Clear();
        _isToldNotProposed.AsSpan().Clear();
        for (int i = 0; i < fates.Length; i++)
        {
            _cancellations[i] = new CancellationTokenSource();
            _timeouts[i] = new TimeoutException("its deadline"); // Anew each time: an exception keeps the trace of each throw.
        }
    }

    public override void Run(int thread)
    {
        switch (thread)
        {
            case 0:
                Pipeline();
                break;
            case 1:
                foreach (int request in cancelled)
                {
                    _cancellations[request].Cancel();
                }

                break;
            default:
                int requests = fates.Length / callers;
                for (int i = 0; i < requests; i++)
                {
                    Call(((thread - 2) * requests) + i);
                }

                break;
        }
    }

    public override void End()
    {
        Require(_pool.Rented == 0, $"{_pool.Rented} handles are not back");
        for (int i = 0; i < fates.Length; i++)
        {
            Require(!(_isProposed[i] && _isToldNotProposed[i]), $"caller of request {i} was told that it was not proposed, and it was");
        }
    }

    private void Call(int request)
    {
        IHandle handle = _pool.Rent();
        handle.Begin(_cancellations[request].Token);
        short token = handle.Token;
        _queue.Enqueue((request, handle));
        SchedulePoint.Await(() => handle.GetStatus(token) != ValueTaskSourceStatus.Pending);
        try
        {
            StoreResponse answer = handle.GetResult(token);
            Require(ReferenceEquals(answer, _answers[request]), $"request {request} got the answer of request {Array.IndexOf(_answers, answer)}");
            Require(fates[request] != Fate.TimesOut, $"request {request} was answered, and never was completed");
        }
        catch (OperationNotProposedException)
        {
            Require(_cancellations[request].IsCancellationRequested, $"request {request} was told of a cancellation that was another's");
            _isToldNotProposed[request] = true;
        }
        catch (OperationCanceledException e)
        {
            Require(e.CancellationToken == _cancellations[request].Token, $"request {request} was told of a cancellation that was another's");
        }
        catch (TimeoutException e)
        {
            Require(ReferenceEquals(e, _timeouts[request]), $"request {request} was told of the deadline of request {Array.IndexOf(_timeouts, e)}");
        }
    }

    private void Pipeline()
    {
        for (int i = 0; i < fates.Length; i++)
        {
            SchedulePoint.Await(() => !_queue.IsEmpty);
            _queue.TryDequeue(out (int Request, IHandle Handle) next);
            (int request, IHandle handle) = next;
            if (TryPropose(request, handle))
            {
                if (fates[request] == Fate.TimesOut)
                {
                    handle.TryFail(_timeouts[request]);
                }
                else
                {
                    handle.TryComplete(_answers[request]);
                }
            }

            handle.ReleaseByPipeline();
        }
    }

    private bool TryPropose(int request, IHandle handle)
    {
        if (!handle.TryPropose())
        {
            return false;
        }

        if (fates[request] == Fate.IsPutBackAndCompletes)
        {
            handle.PutBack();
            if (!handle.TryPropose())
            {
                return false;
            }
        }

        _isProposed[request] = true;
        return true;
    }
}
