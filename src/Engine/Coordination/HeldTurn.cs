namespace MetaStore.Engine.Coordination;

/// <summary>A place that is first in its line, with the lease of its own that it goes with: what a lock and a leadership have in common. Given up when it is disposed.</summary>
internal sealed class HeldTurn : IAsyncDisposable
{
    private readonly LeaseKeeper _keeper;
    private readonly TurnQueue _turns;
    private int _disposed;

    private HeldTurn(LeaseKeeper keeper, TurnQueue turns, TurnPlace place, ResponseHeader header)
    {
        _keeper = keeper;
        _turns = turns;
        Place = place;
        Header = header;
    }

    public TurnPlace Place { get; }

    /// <summary>Of the answer that showed that the turn had come.</summary>
    public ResponseHeader Header { get; }

    public long LeaseId => _keeper.LeaseId;

    public CancellationToken Lost => _keeper.Lost;

    /// <exception cref="MetaStoreException"><see cref="MetaStoreError.LeaseNotFound"/>: the lease ran out while the place waited; or the store failed.</exception>
    public static async ValueTask<HeldTurn> TakeAsync(
        IMetaStore store, ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value, TurnOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(store);
        options ??= new TurnOptions();
        options.Validate();
        var keeping = new LeaseKeeperOptions { RevokeOnDispose = true, TimeProvider = options.TimeProvider };
        LeaseKeeper keeper = await LeaseKeeper.GrantAsync(store, new LeaseGrantRequest(options.TtlSeconds), keeping, cancellationToken).ConfigureAwait(false);
        try
        {
            return await WaitAsync(new TurnQueue(store), name, value, keeper, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            // With its lease the place goes as well, even one whose making got no answer.
            await keeper.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _turns.LeaveAsync(Place).ConfigureAwait(false);
        await _keeper.DisposeAsync().ConfigureAwait(false);
    }

    private static async ValueTask<HeldTurn> WaitAsync(
        TurnQueue turns, ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value, LeaseKeeper keeper, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, keeper.Lost);
        try
        {
            TurnPlace place = await turns.EnterAsync(name, keeper.LeaseId, value, either.Token).ConfigureAwait(false);
            if (await turns.WaitForTurnAsync(place, either.Token).ConfigureAwait(false))
            {
                return new HeldTurn(keeper, turns, place, place.Header);
            }

            ResponseHeader header = await turns.FindAsync(place, either.Token).ConfigureAwait(false) ?? throw Expired(inner: null);
            return new HeldTurn(keeper, turns, place, header);
        }
        catch (OperationCanceledException e) when (keeper.Lost.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw Expired(e);
        }
    }

    private static MetaStoreException Expired(Exception? inner) =>
        new(MetaStoreError.LeaseNotFound, "the lease ran out while its key waited for its turn", Outcome.NotApplied, inner);
}
