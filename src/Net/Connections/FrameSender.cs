using System.IO.Pipelines;

namespace MetaStore.Net.Connections;

/// <summary>What a <see cref="FrameSender{T}"/> asks of its connection. All calls come from the one writer of the moment.</summary>
internal interface IFrameSource<T>
{
    /// <summary>Appends the item's frame, or nothing where the item is no longer wanted.</summary>
    void Encode(T item, PipeWriter output);

    /// <summary>These items have been handed to the socket.</summary>
    void Flushed(ReadOnlySpan<T> items);

    /// <summary>The socket failed; nothing will be sent any more.</summary>
    void SendFailed(Exception exception);
}

/// <summary>
/// The sending half of a connection: many threads put items in, one at a time takes all that has gathered, encodes it and flushes once.
/// Nobody who enqueues waits for the socket; the more there is to do, the more goes into one system call.
/// The writer is a role, not a thread: <see cref="Enqueue"/> gives it to the thread pool, <see cref="DrainAsync"/> to the caller.
/// </summary>
internal sealed class FrameSender<T>(PipeWriter output, IFrameSource<T> source, int flushBytes) : IThreadPoolWorkItem
{
    private readonly Lock _gate = new();
    private List<T> _queued = [];
    private List<T> _draining = []; // the writer's alone
    private bool _hasWriter;
    private bool _closed;

    /// <summary>Whether somebody is writing, or about to.</summary>
    public bool HasWriter
    {
        get
        {
            lock (_gate)
            {
                return _hasWriter;
            }
        }
    }

    /// <summary>
    /// Adds an item. With <paramref name="schedule"/>, a writer is woken where there is none; without, the caller promises to call
    /// <see cref="DrainAsync"/> after its last item. False: the sender is closed, and the item was not taken.
    /// </summary>
    public bool Enqueue(T item, bool schedule)
    {
        bool wake;
        lock (_gate)
        {
            if (_closed)
            {
                return false;
            }

            _queued.Add(item);
            wake = schedule && !_hasWriter;
            _hasWriter |= wake;
        }

        if (wake)
        {
            // The global queue on purpose: answers that threads ahead of us in the queue are about to add join this flush.
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        return true;
    }

    /// <summary>
    /// Becomes the writer, if there is none and something is queued, and sends: until nothing is left, or with <paramref name="once"/>
    /// what is there now, leaving the rest to the thread pool. Completes synchronously as long as the socket takes everything.
    /// </summary>
    public Task DrainAsync(bool once = false)
    {
        lock (_gate)
        {
            if (_hasWriter || _queued.Count == 0 || _closed)
            {
                return Task.CompletedTask;
            }

            _hasWriter = true;
        }

        return DoSendAsync(once);
    }

    /// <summary>Takes no more items. What is queued is not sent. The output is completed as soon as no writer uses it.</summary>
    public void Close()
    {
        bool hasWriter;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            hasWriter = _hasWriter;
        }

        if (!hasWriter)
        {
            Complete();
        }
    }

    void IThreadPoolWorkItem.Execute() => _ = DoSendAsync(once: false); // it lets no exception out

    private async Task DoSendAsync(bool once)
    {
        try
        {
            await ProcessSendAsync(once).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            lock (_gate)
            {
                _closed = true;
            }

            source.SendFailed(e);
            Complete();
        }
    }

    private async Task ProcessSendAsync(bool once)
    {
        while (TryTakeQueued())
        {
            for (int i = 0; i < _draining.Count; i++)
            {
                source.Encode(_draining[i], output);
                if (output.UnflushedBytes >= flushBytes)
                {
                    await output.FlushAsync().ConfigureAwait(false);
                }
            }

            if (output.UnflushedBytes > 0)
            {
                await output.FlushAsync().ConfigureAwait(false);
            }

            source.Flushed(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_draining));
            _draining.Clear();
            if (once)
            {
                once = false;
                if (HandOver())
                {
                    return;
                }
            }
        }
    }

    /// <summary>Passes the writer's role to the thread pool, if there is anything left for it to do.</summary>
    private bool HandOver()
    {
        lock (_gate)
        {
            if (_queued.Count == 0 || _closed)
            {
                return false;
            }
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        return true;
    }

    private bool TryTakeQueued()
    {
        bool closed;
        lock (_gate)
        {
            if (_queued.Count > 0 && !_closed)
            {
                (_queued, _draining) = (_draining, _queued);
                return true;
            }

            _hasWriter = false;
            closed = _closed;
        }

        if (closed)
        {
            Complete();
        }

        return false;
    }

    // With an exception, so that the pipe gives its buffers back and does not try to flush them into a dead socket.
    private void Complete() => output.Complete(new IOException("The connection is closed."));
}
