using System.Buffers;
using System.IO.Pipelines;

namespace MetaStore.Etcd.Rpc;

/// <summary>
/// What callers have begun to say and have not finished, all calls of a server together: so many bytes at most, each message for so long. The windows of HTTP/2 do not bound it, for whoever
/// waits for the rest of a message has to let more come. Where there are more bytes, the call ends that has waited longest for its rest: whoever begins a message and falls silent makes room for those
/// who go on.
/// </summary>
/// <param name="bytesMax">Bytes at most.</param>
/// <param name="timeout">How long the rest of a message may take, from when a part of it was there. What has not begun may take for ever.</param>
/// <param name="time">The clock.</param>
internal sealed class UnfinishedMessages(long bytesMax, TimeSpan timeout, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Body> _waiting = []; // by when they began to
    private long _bytes;

    /// <summary>Bytes that wait for more.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
            {
                return _bytes;
            }
        }
    }

    /// <summary>The body of a call, which keeps to it. Whoever reads it says by what it has looked at, as of any pipe, whether it waits for the rest of something. To be disposed when the call ends.</summary>
    public Body Of(PipeReader body) => new(this, body);

    /// <summary>The body waits for the rest of so many bytes; 0: for none. Says who has to end for that.</summary>
    private List<Body>? Account(Body body, long bytes)
    {
        List<Body>? ended = null;
        lock (_gate)
        {
            Change(body, body.IsEnded ? 0 : bytes);
            while (_bytes > bytesMax && _waiting.First is { } oldest)
            {
                Change(oldest.Value, 0);
                oldest.Value.IsEnded = true;
                (ended ??= []).Add(oldest.Value);
            }
        }

        return ended;
    }

    private void Change(Body body, long bytes)
    {
        if (body.Counted == 0 && bytes > 0)
        {
            _waiting.AddLast(body.Place);
        }
        else if (body.Counted > 0 && bytes == 0)
        {
            _waiting.Remove(body.Place);
        }

        _bytes += bytes - body.Counted;
        body.Counted = bytes;
    }

    /// <summary>A body that is read a message at a time.</summary>
    internal sealed class Body(UnfinishedMessages all, PipeReader inner) : PipeReader, IDisposable
    {
        private ReadOnlySequence<byte> _buffer;
        private LinkedListNode<Body>? _place;
        private CancellationTokenSource? _noRoom; // not disposed: who ends it may be late, and without a timer it holds nothing
        private long _held;
        private CancellationTokenSource? _late;

        /// <summary>Under the lock of all: what it is counted for.</summary>
        internal long Counted { get; set; }

        /// <summary>Set under the lock of all: it had to make room.</summary>
        internal bool IsEnded { get; set; }

        internal LinkedListNode<Body> Place => _place ??= new LinkedListNode<Body>(this);

        /// <inheritdoc/>
        /// <exception cref="RpcException">The rest of a message has not come in time, or there is no room for it.</exception>
        public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
            _held == 0 ? Keep(inner.ReadAsync(cancellationToken)) : ReadRestAsync(cancellationToken);

        public override bool TryRead(out ReadResult result)
        {
            bool isRead = inner.TryRead(out result);
            _buffer = isRead ? result.Buffer : _buffer;
            return isRead;
        }

        public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
        {
            long left = examined.Equals(_buffer.End) && !consumed.Equals(_buffer.End) ? _buffer.Slice(consumed).Length : 0;
            Hold(left);
            _buffer = default;
            inner.AdvanceTo(consumed, examined);
        }

        public override void CancelPendingRead() => inner.CancelPendingRead();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        public void Dispose() => Hold(0);

        private ValueTask<ReadResult> Keep(ValueTask<ReadResult> read)
        {
            if (!read.IsCompletedSuccessfully)
            {
                return AwaitAsync(read);
            }

            ReadResult result = read.Result;
            _buffer = result.Buffer;
            return new ValueTask<ReadResult>(result);
        }

        private async ValueTask<ReadResult> AwaitAsync(ValueTask<ReadResult> read)
        {
            ReadResult result = await read.ConfigureAwait(false);
            _buffer = result.Buffer;
            return result;
        }

        private async ValueTask<ReadResult> ReadRestAsync(CancellationToken cancellationToken)
        {
            _late ??= new CancellationTokenSource(all.Timeout, all.Time);
            using CancellationTokenRegistration ended = cancellationToken.UnsafeRegister(static late => ((CancellationTokenSource)late!).Cancel(), _late);
            using CancellationTokenRegistration noRoom = WhenNoRoom().UnsafeRegister(static late => ((CancellationTokenSource)late!).Cancel(), _late);
            try
            {
                return await AwaitAsync(inner.ReadAsync(_late.Token)).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw WhenNoRoom().IsCancellationRequested
                    ? new RpcException(StatusCode.ResourceExhausted, $"messages of {all.BytesMax} bytes have been begun and not finished, and this one has waited longest; try again later")
                    : new RpcException(StatusCode.DeadlineExceeded, $"the rest of a message has not come within {all.Timeout.TotalSeconds} s");
            }
        }

        /// <summary>Ends when it has to make room.</summary>
        private CancellationToken WhenNoRoom()
        {
            lock (all._gate)
            {
                _noRoom ??= new CancellationTokenSource();
                return IsEnded ? new CancellationToken(canceled: true) : _noRoom.Token;
            }
        }

        /// <summary>So many bytes wait for more; 0: none.</summary>
        private void Hold(long bytes)
        {
            if (bytes != _held)
            {
                _held = bytes;
                all.Account(this, bytes)?.ForEach(static body => body._noRoom?.Cancel());
            }

            if (bytes == 0 && _late is not null)
            {
                _late.Dispose();
                _late = null;
            }
        }
    }

    private long BytesMax => bytesMax;

    private TimeSpan Timeout => timeout;

    private TimeProvider Time => time;
}
