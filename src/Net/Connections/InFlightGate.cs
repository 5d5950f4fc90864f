namespace MetaStore.Net.Connections;

/// <summary>
/// How much of one connection is under way: requests taken and not yet answered into the socket. While it is full the connection is not
/// read, so that a client which sends without reading stalls itself, by TCP's own window, and nobody else.
/// </summary>
internal sealed class InFlightGate(int requestsMax, long bytesMax)
{
    private readonly Lock _gate = new();
    private int _requests;
    private long _bytes;
    private bool _aborted;
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _idle;

    /// <summary>Requests under way.</summary>
    public int Requests
    {
        get
        {
            lock (_gate)
            {
                return _requests;
            }
        }
    }

    /// <summary>Takes a request in, if there is room. A request larger than all the room passes when it is alone.</summary>
    public bool TryEnter(int bytes)
    {
        lock (_gate)
        {
            if (_requests >= requestsMax || (_requests > 0 && _bytes + bytes > bytesMax))
            {
                return false;
            }

            _requests++;
            _bytes += bytes;
            return true;
        }
    }

    /// <summary>Ends when something has left since the last refusal; try again then. One caller at a time.</summary>
    public Task WhenRoomAsync()
    {
        lock (_gate)
        {
            if (_aborted)
            {
                return Task.FromException(new OperationCanceledException("The connection was closed."));
            }

            // All may have left between the refusal and here; then nobody would come to wake the waiter.
            if (_requests == 0)
            {
                return Task.CompletedTask;
            }

            _room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _room.Task;
        }
    }

    /// <summary>Ends when nothing is under way.</summary>
    public Task WhenIdleAsync()
    {
        lock (_gate)
        {
            if (_requests == 0 || _aborted)
            {
                return Task.CompletedTask;
            }

            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _idle.Task;
        }
    }

    /// <summary>Requests have been answered.</summary>
    public void Leave(int requests, long bytes)
    {
        TaskCompletionSource? room;
        TaskCompletionSource? idle = null;
        lock (_gate)
        {
            _requests -= requests;
            _bytes -= bytes;
            Invariant.Check(_requests >= 0 && _bytes >= 0, $"More left than entered: {_requests} requests, {_bytes} bytes.");
            (room, _room) = (_room, null);
            if (_requests == 0)
            {
                (idle, _idle) = (_idle, null);
            }
        }

        room?.SetResult();
        idle?.SetResult();
    }

    /// <summary>The connection is gone: nobody waits any more.</summary>
    public void Abort()
    {
        TaskCompletionSource? room;
        TaskCompletionSource? idle;
        lock (_gate)
        {
            _aborted = true;
            (room, _room) = (_room, null);
            (idle, _idle) = (_idle, null);
        }

        room?.SetException(new OperationCanceledException("The connection was closed."));
        idle?.SetResult();
    }
}
