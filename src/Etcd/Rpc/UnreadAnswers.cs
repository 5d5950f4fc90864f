using System.IO.Pipelines;

namespace MetaStore.Etcd.Rpc;

/// <summary>
/// What is held of answers whose callers do not read them, all calls of a server together: so many bytes at most. The windows of HTTP/2 do not bound it: what is behind a full window has been made, and one connection
/// may have thousands of calls. Where there are more bytes, the call ends whose caller has taken nothing for longest, so whoever asks and does not read makes room for those who do. One answer alone may be larger.
/// </summary>
/// <param name="bytesMax">Bytes at most.</param>
internal sealed class UnreadAnswers(long bytesMax)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Answer> _waiting = []; // by since when
    private long _bytes;

    /// <summary>Bytes that wait for a caller.</summary>
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

    /// <summary>The answers of a call, one behind the other. To be disposed when it has ended.</summary>
    /// <param name="ended">When the call ends for another reason.</param>
    public Answer Of(CancellationToken ended) => new(this, ended);

    private void Begin(Answer answer, long bytes)
    {
        List<Answer>? ended = null;
        lock (_gate)
        {
            answer.Counted = bytes;
            _bytes += bytes;
            _waiting.AddLast(answer.Place);
            while (_bytes > bytesMax && _waiting.First is { } oldest && _waiting.Count > 1)
            {
                Remove(oldest.Value);
                oldest.Value.IsEnded = true;
                (ended ??= []).Add(oldest.Value);
            }
        }

        ended?.ForEach(static answer => answer.MakeRoom());
    }

    private void End(Answer answer)
    {
        lock (_gate)
        {
            Remove(answer);
        }
    }

    private void Remove(Answer answer)
    {
        if (answer.Place.List is not null)
        {
            _waiting.Remove(answer.Place);
            _bytes -= answer.Counted;
        }
    }

    private long BytesMax => bytesMax;

    /// <summary>What a call says, from one thread at a time.</summary>
    internal sealed class Answer : IDisposable
    {
        private readonly UnreadAnswers _all;
        private readonly CancellationToken _callEnded;
        private readonly CancellationTokenSource _ended = new(); // not disposed: who ends it may be late, and without a timer it holds nothing
        private readonly CancellationTokenRegistration _registration;

        public Answer(UnreadAnswers all, CancellationToken ended)
        {
            _all = all;
            _callEnded = ended;
            Place = new LinkedListNode<Answer>(this);
            _registration = ended.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _ended);
        }

        internal LinkedListNode<Answer> Place { get; }

        /// <summary>Under the lock of all: what it is counted for while it waits.</summary>
        internal long Counted { get; set; }

        /// <summary>Set under the lock of all: it had to make room.</summary>
        internal bool IsEnded { get; set; }

        /// <summary>Sends what was written. Where the caller does not take it, <paramref name="held"/> bytes are counted until it does.</summary>
        /// <param name="output">Where it was written.</param>
        /// <param name="held">Bytes of memory that go only when the caller reads: of what was written, and of what is still to be.</param>
        /// <exception cref="RpcException">It had to make room.</exception>
        /// <exception cref="OperationCanceledException">The call has ended.</exception>
        public ValueTask FlushAsync(PipeWriter output, long held)
        {
            ValueTask<FlushResult> flush = output.FlushAsync(_ended.Token);
            if (!flush.IsCompletedSuccessfully)
            {
                return AwaitAsync(flush, held);
            }

            _ = flush.Result;
            _callEnded.ThrowIfCancellationRequested();
            return ValueTask.CompletedTask;
        }

        internal void MakeRoom() => _ended.Cancel();

        public void Dispose() => _registration.Dispose();

        private async ValueTask AwaitAsync(ValueTask<FlushResult> flush, long held)
        {
            _all.Begin(this, held);
            try
            {
                await flush.ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (IsEnded)
            {
                // Said below; the pipe of HTTP/2 ends the stream, and says nothing.
            }
            finally
            {
                _all.End(this);
            }

            if (IsEnded)
            {
                throw new RpcException(StatusCode.ResourceExhausted, $"answers of {_all.BytesMax} bytes wait for callers that do not read them, and this one has waited longest; read faster, or ask for less at a time");
            }

            _callEnded.ThrowIfCancellationRequested();
        }
    }
}
