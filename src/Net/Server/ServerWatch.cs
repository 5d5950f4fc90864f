using MetaStore.Engine;

namespace MetaStore.Net.Server;

/// <summary>A watch of a connection, or a snapshot: what it asks for, and how much of it may be sent.</summary>
/// <param name="correlation">Its correlation.</param>
/// <param name="request">What it asks for; null: a snapshot.</param>
/// <param name="credit">Bytes that may be sent.</param>
internal sealed class ServerWatch(ulong correlation, WatchRequest? request, long credit)
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _left = new();
    private long _credit = credit;
    private TaskCompletionSource? _granted;

    public ulong Correlation { get; } = correlation;

    public WatchRequest? Request { get; } = request;

    /// <summary>Cancelled when nobody looks any more.</summary>
    public CancellationToken Left => _left.Token;

    public bool IsLeft => _left.IsCancellationRequested;

    public void Grant(uint bytes)
    {
        TaskCompletionSource? granted;
        lock (_gate)
        {
            _credit += bytes;
            (granted, _granted) = (_granted, null);
        }

        granted?.SetResult();
    }

    /// <summary>Waits until there is any credit, and takes so much: a response longer than what is left goes out whole, and is paid for later.</summary>
    public async ValueTask TakeCreditAsync(int bytes)
    {
        while (true)
        {
            Task granted;
            lock (_gate)
            {
                if (_credit > 0)
                {
                    _credit -= bytes;
                    return;
                }

                _granted ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                granted = _granted.Task;
            }

            await granted.WaitAsync(_left.Token).ConfigureAwait(false);
        }
    }

    /// <summary>Nobody looks any more. Any thread; twice does no harm.</summary>
    public void Leave() => _left.Cancel();
}
