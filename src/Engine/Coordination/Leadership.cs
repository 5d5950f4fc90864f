namespace MetaStore.Engine.Coordination;

/// <summary>
/// An election that was won (<see cref="StoreElection"/>). It hangs on a lease of its own, which is renewed until this is disposed. What is said of locks holds for it: see <see cref="StoreLock"/>.
/// </summary>
public sealed class Leadership : IAsyncDisposable
{
    private readonly HeldTurn _turn;
    private readonly StoreElection _election;

    private Leadership(HeldTurn turn, StoreElection election)
    {
        _turn = turn;
        _election = election;
    }

    /// <summary>The key that stands for this leader; its value is what it has proclaimed.</summary>
    public ReadOnlyMemory<byte> Key => _turn.Place.Key;

    /// <summary>The fencing token: the create revision of <see cref="Key"/>, higher than that of everybody who led before.</summary>
    public Revision Token => _turn.Place.CreateRevision;

    /// <summary>The lease.</summary>
    public long LeaseId => _turn.LeaseId;

    /// <summary>Cancelled when the leadership can be relied on no longer: the lease is gone, or may be. Not by disposing.</summary>
    public CancellationToken Lost => _turn.Lost;

    /// <summary>A condition for transactions: they do nothing once the leadership is lost.</summary>
    public Compare StillHeld => _turn.Place.StillHeld;

    /// <summary>Stands, and waits until it leads.</summary>
    /// <param name="store">The store. Stays the caller's.</param>
    /// <param name="name">The election. Its keys begin with the name and a slash.</param>
    /// <param name="value">What it proclaims.</param>
    /// <param name="options">How it is held.</param>
    /// <param name="cancellationToken">Gives up, and leaves the line.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    /// <exception cref="MetaStoreException"><see cref="MetaStoreError.LeaseNotFound"/>: the lease ran out while it waited; or the store failed.</exception>
    public static async ValueTask<Leadership> CampaignAsync(
        IMetaStore store, ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value, TurnOptions? options = null, CancellationToken cancellationToken = default) =>
        new(await HeldTurn.TakeAsync(store, name, value, options, cancellationToken).ConfigureAwait(false), new StoreElection(store));

    /// <summary>Proclaims another value, without a new election. False: it leads no more.</summary>
    /// <param name="value">What it proclaims.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<bool> ProclaimAsync(ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default) =>
        await _election.ProclaimAsync(Key, Token, LeaseId, value, cancellationToken).ConfigureAwait(false) is not null;

    /// <summary>Resigns. Never fails: at worst the leadership goes with its lease.</summary>
    public ValueTask DisposeAsync() => _turn.DisposeAsync();
}
