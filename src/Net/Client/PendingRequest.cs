using System.Threading.Tasks.Sources;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Client;

/// <summary>
/// A request that waits for its answer: a slot of its connection's <see cref="PendingTable"/>, used again and again. Who takes it out of
/// the table completes it, once; who awaits it gives the slot back by looking at the result. Fields other than the core are guarded by the table.
/// </summary>
internal sealed class PendingRequest(PendingTable table, int slot) : IValueTaskSource<object?>
{
    // Mutable struct: never readonly. Callers' continuations must not run on the receive loop, which serves all of them.
    private ManualResetValueTaskSourceCore<object?> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _token;

    public int Slot { get; } = slot;

    /// <summary>Names this use of the slot; never 0, and never used twice on a connection.</summary>
    public ulong Correlation { get; set; }

    public bool IsWaiting { get; set; }

    /// <summary>Whether any byte of it can have reached the socket.</summary>
    public bool IsWritten { get; set; }

    public RequestContent Content { get; set; }

    /// <summary>The task of this use of the slot; await it exactly once.</summary>
    public ValueTask<object?> Task => new(this, _core.Version);

    /// <summary>From here on the token takes the request out of the table. It may have done so when this returns.</summary>
    public void ObeyToken(CancellationToken token)
    {
        _token = token;
        _cancellation = token.UnsafeRegister(static state => ((PendingRequest)state!).Cancel(), this);
    }

    public void SetResult(object? result) => _core.SetResult(result);

    public void SetException(Exception exception) => _core.SetException(exception);

    object? IValueTaskSource<object?>.GetResult(short token)
    {
        // Waits for a cancellation that is running right now, so that it cannot meet the slot's next use.
        _cancellation.Dispose();
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            (_cancellation, _token) = (default, default);
            _core.Reset();
            table.Return(this);
        }
    }

    ValueTaskSourceStatus IValueTaskSource<object?>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<object?>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private void Cancel()
    {
        if (table.TryTake(Correlation, out _))
        {
            SetException(new OperationCanceledException(_token));
        }
    }
}

/// <summary>What a request sends, and until when its answer is of use (a timestamp of the client's clock).</summary>
internal readonly record struct RequestContent(FrameKind Kind, object? Request, int BodyLength, bool IsReadOnly, long Sent, long Deadline);
