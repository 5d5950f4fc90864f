using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace MetaStore.Engine.Watches;

/// <summary>
/// One watch: a bounded queue between the watch loop, which puts in, and whoever enumerates it, one at a time. The loop never waits: what does not fit is refused,
/// and the watcher asks for it again once there is room (<see cref="WatchHub.Demand"/>). Somebody who waits is always given something, whatever the bounds, so those who
/// take nothing cannot starve those who do: of what it catches up with its share (<see cref="WatchHub.ShareBytes"/>), where there is no room for more. It counts until the next is asked for, as all that was taken does.
/// <para>
/// With a listener it is not enumerated but taken from: <see cref="TryTake"/>, and the listener is told when there is something again.
/// </para>
/// <para>
/// The gate guards the queue and is held for a few instructions; whoever waits is completed after it has been left. The properties are the watch loop's alone.
/// </para>
/// </summary>
internal sealed class Watcher : IAsyncEnumerator<WatchResponse>, IValueTaskSource<bool>, IPlaced
{
    private const int ResponseBytes = 96;
    private const int EventBytes = 160;

    private readonly Lock _gate = new();
    private readonly Queue<(WatchResponse Response, long Bytes)> _queue = new();
    private readonly WatchHub _hub;
    private readonly int _queueBytesMax;
    private readonly Action? _ready;
    private readonly CancellationTokenRegistration[] _cancellations = new CancellationTokenRegistration[2];
    private ManualResetValueTaskSourceCore<bool> _core; // Mutable struct: never readonly.
    private long _queuedBytes;
    private long _takenBytes; // Of what was taken last, which is being looked at, or written to somebody.
    private bool _isWaiting;
    private bool _wantsRoom;
    private bool _isOver;
    private Exception? _end;

    public Watcher(WatchHub hub, long id, WatchRequest request, WatchFilter filter, int queueBytesMax, bool runContinuationsAsynchronously, Action? ready)
    {
        _ready = ready;
        _hub = hub;
        Id = id;
        Request = request;
        Filter = filter;
        _queueBytesMax = queueBytesMax;
        _core.RunContinuationsAsynchronously = runContinuationsAsynchronously;
    }

    public long Id { get; }

    /// <inheritdoc/>
    public int Place { get; set; }

    public WatchRequest Request { get; }

    public WatchFilter Filter { get; }

    /// <inheritdoc/>
    public WatchResponse Current { get; private set; } = null!;

    /// <summary>The first revision it has not been told of; of one that is up to date, the first it wants to be told of at all.</summary>
    public long Next { get; set; }

    /// <summary>The first change of that revision that it has not been told of, counted from 0: one that takes parts may have been told of some.</summary>
    public int NextWithin { get; set; }

    /// <summary>It is in the index, and is told of each revision as it comes.</summary>
    public bool IsSynced { get; set; }

    /// <summary>It has ended, or was left.</summary>
    public bool IsGone { get; set; }

    /// <summary>It was told something since it was last looked at for its progress.</summary>
    public bool WasTold { get; set; }

    /// <summary>
    /// The last revision that it knows for sure it has been told of: etcd's clients go on behind the last event, or behind the last progress, and at the revision that they were created at, whatever other headers say.
    /// </summary>
    public long ToldUpTo { get; set; }

    /// <summary>When it is to hear how far it is; a timestamp, 0 where it did not ask for that.</summary>
    public long ProgressDue { get; set; }

    /// <summary>Events of the slice under way.</summary>
    public List<WatchEvent> Pending { get; set; } = [];

    public long PendingBytes { get; set; }

    /// <summary>The revision of the first of them.</summary>
    public long PendingFirst { get; set; }

    /// <summary>What an event takes in a queue, about.</summary>
    public static int BytesOf(WatchEvent e) =>
        EventBytes + e.KeyValue.Key.Length + e.KeyValue.Value.Length + (e.Previous is { } previous ? previous.Key.Length + previous.Value.Length : 0);

    /// <summary>Ends the watch by itself once one of the tokens is cancelled.</summary>
    public void Obey(CancellationToken first, CancellationToken second)
    {
        _cancellations[0] = first.UnsafeRegister(static (watcher, token) => ((Watcher)watcher!).Cancel(token), this);
        _cancellations[1] = second.UnsafeRegister(static (watcher, token) => ((Watcher)watcher!).Cancel(token), this);
    }

    /// <summary>Puts in what belongs together, all of it or nothing.</summary>
    /// <param name="responses">What belongs together, and what each takes.</param>
    /// <param name="isLeast">There is no less than that to give to somebody who waits.</param>
    public Told Tell(ReadOnlySpan<(WatchResponse Response, long Bytes)> responses, bool isLeast)
    {
        long bytes = 0;
        foreach ((WatchResponse _, long own) in responses)
        {
            bytes += own;
        }

        bool wake;
        lock (_gate)
        {
            if (_isOver || _end is not null)
            {
                return Told.All; // Nobody will ever look.
            }

            bool hasRoom = (_isWaiting || _queuedBytes + bytes <= _queueBytesMax) && _hub.TryReserve(bytes);
            if (!hasRoom && !_isWaiting)
            {
                _wantsRoom = true;
                return Told.NothingAsksAgain;
            }

            if (!hasRoom && !isLeast)
            {
                return Told.NothingWaits;
            }

            if (!hasRoom)
            {
                _hub.Reserve(bytes);
            }

            wake = _isWaiting;
            _isWaiting = false;
            if (wake && _ready is null)
            {
                Current = responses[0].Response;
                Take(responses[0].Bytes);
                responses = responses[1..];
            }

            foreach ((WatchResponse Response, long Bytes) response in responses)
            {
                _queue.Enqueue(response);
                _queuedBytes += response.Bytes;
            }
        }

        if (wake && _ready is null)
        {
            _core.SetResult(true);
        }
        else if (wake)
        {
            _hub.Ring(_ready!);
        }

        return Told.All;
    }

    /// <summary>What a batch of events takes.</summary>
    public static long BytesOf(long eventBytes) => ResponseBytes + eventBytes;

    /// <summary>Nothing more will come but this, behind what is in the queue. The watch loop's; the first end counts.</summary>
    public void End(Exception error)
    {
        if (TryEnd(error))
        {
            _hub.Ring(_ready!);
        }
    }

    /// <summary>True where there is a listener to be told. Any thread.</summary>
    private bool TryEnd(Exception error)
    {
        bool wake;
        lock (_gate)
        {
            if (_isOver || _end is not null)
            {
                return false;
            }

            _end = error;
            wake = _isWaiting;
            _isWaiting = false;
        }

        if (wake && _ready is null)
        {
            _core.SetException(error);
        }

        return wake && _ready is not null;
    }

    /// <summary>Takes what is next; false where there is nothing, and the listener will be told. One caller at a time.</summary>
    /// <exception cref="MetaStoreException">The watch has ended, and everything before that was taken.</exception>
    public bool TryTake([NotNullWhen(true)] out WatchResponse? response)
    {
        bool demand;
        lock (_gate)
        {
            Take(0);
            if (_queue.TryDequeue(out (WatchResponse Response, long Bytes) head))
            {
                response = head.Response;
                _queuedBytes -= head.Bytes;
                Take(head.Bytes);
            }
            else if (_end is not null)
            {
                ExceptionDispatchInfo.Throw(_end);
                throw _end;
            }
            else
            {
                response = null;
                _isWaiting = !_isOver;
            }

            demand = _wantsRoom && (_isWaiting || _queuedBytes <= _queueBytesMax / 2);
            _wantsRoom &= !demand;
        }

        if (demand)
        {
            _hub.Demand(this);
        }

        return response is not null;
    }

    /// <inheritdoc/>
    public ValueTask<bool> MoveNextAsync()
    {
        ValueTask<bool> next;
        bool demand;
        lock (_gate)
        {
            Take(0);
            if (_queue.TryDequeue(out (WatchResponse Response, long Bytes) head))
            {
                Current = head.Response;
                _queuedBytes -= head.Bytes;
                Take(head.Bytes);
                next = new ValueTask<bool>(true);
            }
            else if (_end is not null)
            {
                return ValueTask.FromException<bool>(_end);
            }
            else if (_isOver)
            {
                return new ValueTask<bool>(false);
            }
            else
            {
                _isWaiting = true;
                next = new ValueTask<bool>(this, _core.Version);
            }

            demand = _wantsRoom && (_isWaiting || _queuedBytes <= _queueBytesMax / 2);
            _wantsRoom &= !demand;
        }

        if (demand)
        {
            _hub.Demand(this);
        }

        return next;
    }

    /// <summary>Leaves the watch.</summary>
    public ValueTask DisposeAsync()
    {
        foreach (CancellationTokenRegistration cancellation in _cancellations)
        {
            cancellation.Unregister();
        }

        lock (_gate)
        {
            if (_isOver)
            {
                return ValueTask.CompletedTask;
            }

            _isOver = true;
            Clear();
        }

        _hub.Leave(this);
        return ValueTask.CompletedTask;
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            _core.Reset();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    /// <summary>What was taken before counts no more, and this does. Within the gate.</summary>
    private void Take(long bytes)
    {
        _hub.Release(_takenBytes);
        _takenBytes = bytes;
    }

    /// <summary>Within the gate.</summary>
    private void Clear()
    {
        Take(0);
        _hub.Release(_queuedBytes);
        _queuedBytes = 0;
        _queue.Clear();
    }

    private void Cancel(CancellationToken token)
    {
        lock (_gate)
        {
            Clear(); // Whoever has cancelled wants no more, not even what is there.
        }

        if (TryEnd(new OperationCanceledException(token)))
        {
            _ready!();
        }

        _hub.Leave(this);
    }
}

/// <summary>What came of telling a watcher.</summary>
internal enum Told
{
    /// <summary>It has it.</summary>
    All,

    /// <summary>There is no room, and it asks again once there is.</summary>
    NothingAsksAgain,

    /// <summary>There is no room, and it waits: less of it is to be given.</summary>
    NothingWaits,
}
