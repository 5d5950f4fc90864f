namespace MetaStore.Engine.Sessions;

/// <summary>
/// Gives the writes of a session their numbers, and lets them begin: in the order in which they came, so many side by side, and none so far ahead of the
/// oldest unanswered one that the store would refuse it (see <see cref="SessionRequest.UnacknowledgedMax"/>). Any thread.
/// </summary>
/// <param name="writesMax">Writes under way at most.</param>
/// <param name="runContinuationsAsynchronously">
/// Whether a write that waited goes on elsewhere than inside <see cref="End"/> of the one that it waited for.
/// </param>
internal sealed class SessionWindow(int writesMax, bool runContinuationsAsynchronously)
{
    private readonly Lock _gate = new();
    private readonly SortedSet<ulong> _underWay = [];
    private readonly LinkedList<TaskCompletionSource<ulong>> _waiting = [];
    private ulong _last;
    private bool _isClosed;

    /// <summary>The lowest number that is under way; a write that asks is under way itself.</summary>
    public ulong Oldest
    {
        get
        {
            lock (_gate)
            {
                Invariant.Check(_underWay.Count > 0, "the oldest write under way is asked for while there is none");
                return _underWay.Min;
            }
        }
    }

    private bool HasRoom => _underWay.Count == 0 || (_underWay.Count < writesMax && _last + 1 - _underWay.Min < SessionRequest.UnacknowledgedMax);

    /// <summary>A number for a write that begins, as soon as it may. <see cref="End"/> gives it back.</summary>
    /// <exception cref="MetaStoreException">The session is closed; nothing was done.</exception>
    public async ValueTask<ulong> BeginAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        LinkedListNode<TaskCompletionSource<ulong>> place;
        lock (_gate)
        {
            ThrowIfClosed();
            if (HasRoom)
            {
                return Number();
            }

            place = _waiting.AddLast(new TaskCompletionSource<ulong>(
                runContinuationsAsynchronously ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None));
        }

        using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(_ => Cancel(place, cancellationToken), null);
        return await place.Value.Task.ConfigureAwait(false);
    }

    /// <summary>The write is answered, or given up: it will not be sent again. Those begin that may now.</summary>
    public void End(ulong sequence)
    {
        List<(TaskCompletionSource<ulong> Waiter, ulong Sequence)>? begun = null;
        lock (_gate)
        {
            Invariant.Check(_underWay.Remove(sequence), $"write {sequence} of a session ends and is not under way");
            while (_waiting.First is { } first && HasRoom)
            {
                _waiting.RemoveFirst();
                (begun ??= []).Add((first.Value, Number()));
            }
        }

        // Outside the lock: what waited may go on right here.
        foreach ((TaskCompletionSource<ulong> waiter, ulong number) in begun ?? [])
        {
            waiter.SetResult(number);
        }
    }

    /// <summary>Lets no more writes begin; those that wait fail. False where it was closed before.</summary>
    public bool TryClose()
    {
        TaskCompletionSource<ulong>[] refused;
        lock (_gate)
        {
            if (_isClosed)
            {
                return false;
            }

            _isClosed = true;
            refused = [.. _waiting];
            _waiting.Clear();
        }

        Array.ForEach(refused, waiter => waiter.SetException(Closed()));
        return true;
    }

    private static MetaStoreException Closed() => new(MetaStoreError.Stopped, "the session is closed");

    private void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw Closed();
        }
    }

    private ulong Number()
    {
        _underWay.Add(++_last);
        return _last;
    }

    private void Cancel(LinkedListNode<TaskCompletionSource<ulong>> place, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (place.List is null)
            {
                return; // It has begun, or been refused, and sees to its token itself.
            }

            _waiting.Remove(place);
        }

        place.Value.SetCanceled(cancellationToken);
    }
}
