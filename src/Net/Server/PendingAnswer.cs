using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using MetaStore.Engine;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Server;

/// <summary>
/// Waits for one answer of the store that did not come at once. Pooled, and hooked to the store's task by a delegate made once, so that
/// waiting allocates nothing. The continuation runs on the store's thread and only hands the answer on.
/// </summary>
internal sealed class PendingAnswer<T>
    where T : StoreResponse
{
    private readonly Pool _pool;
    private readonly Action _continuation;
    private ValueTaskAwaiter<T> _awaiter;
    private IAnswerTarget? _target;
    private object? _request;
    private ulong _correlation;
    private FrameKind _kind;
    private int _requestBytes;

    private PendingAnswer(Pool pool)
    {
        _pool = pool;
        _continuation = Finish;
    }

    private void Finish()
    {
        object content;
        try
        {
            content = _awaiter.GetResult();
        }
        catch (Exception e)
        {
            content = _pool.Failures.ToAnswer(e, _request);
        }

        IAnswerTarget target = _target!;
        var answer = new Answer(_correlation, _kind, content, _requestBytes);
        (_awaiter, _target, _request) = (default, null, null);
        _pool.Return(this);
        target.Complete(answer);
    }

    /// <summary>The free ones of a server, and how many are out.</summary>
    internal sealed class Pool(StoreFailures failures)
    {
        private const int FreeMax = 4096;

        private readonly ConcurrentQueue<PendingAnswer<T>> _free = [];
        private long _rented;
        private long _returned;

        /// <summary>Taken and not given back. 0 when nothing is under way, or there is a leak.</summary>
        public long Outstanding => Interlocked.Read(ref _rented) - Interlocked.Read(ref _returned);

        public StoreFailures Failures { get; } = failures;

        public void Await(ValueTask<T> task, in Answer question, object? request, IAnswerTarget target)
        {
            Interlocked.Increment(ref _rented);
            if (!_free.TryDequeue(out PendingAnswer<T>? pending))
            {
                pending = new PendingAnswer<T>(this);
            }

            pending._awaiter = task.GetAwaiter();
            pending._target = target;
            pending._request = request;
            pending._correlation = question.Correlation;
            pending._kind = question.Kind;
            pending._requestBytes = question.RequestBytes;
            if (pending._awaiter.IsCompleted)
            {
                pending.Finish();
            }
            else
            {
                pending._awaiter.UnsafeOnCompleted(pending._continuation);
            }
        }

        public void Return(PendingAnswer<T> pending)
        {
            Interlocked.Increment(ref _returned);
            if (_free.Count < FreeMax)
            {
                _free.Enqueue(pending);
            }
        }
    }
}
