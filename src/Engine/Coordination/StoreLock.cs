namespace MetaStore.Engine.Coordination;

/// <summary>
/// A lock that is held, over the embedded node and the remote client alike; it excludes all who take it by etcd's recipe (<see cref="TurnQueue"/>). It hangs on a lease of its own, which is renewed until
/// the lock is disposed: a holder that dies loses it when the lease runs out.
/// <para>No lock of this kind is safe by itself: a holder may be halted, lose the lock without noticing, and go on to write. Stop at <see cref="Lost"/>, and guard what is written: in
/// this store with <see cref="StillHeld"/> as a condition of the transaction, elsewhere by the fencing token (<see cref="Token"/>), which rises from holder to holder: refuse what comes with a lower one
/// than was seen before.</para>
/// </summary>
public sealed class StoreLock : IAsyncDisposable
{
    private readonly HeldTurn _turn;

    private StoreLock(HeldTurn turn)
    {
        _turn = turn;
    }

    /// <summary>The key that stands for this holder.</summary>
    public ReadOnlyMemory<byte> Key => _turn.Place.Key;

    /// <summary>The fencing token: the create revision of <see cref="Key"/>, higher than that of everybody who held the lock before.</summary>
    public Revision Token => _turn.Place.CreateRevision;

    /// <summary>Of the answer that showed that the lock is held.</summary>
    public ResponseHeader Header => _turn.Header;

    /// <summary>The lease.</summary>
    public long LeaseId => _turn.LeaseId;

    /// <summary>Cancelled when the lock can be relied on no longer: the lease is gone, or may be. Not by disposing.</summary>
    public CancellationToken Lost => _turn.Lost;

    /// <summary>A condition for transactions: they do nothing once the lock is lost.</summary>
    public Compare StillHeld => _turn.Place.StillHeld;

    /// <summary>Waits for the lock, in the order of asking, and takes it.</summary>
    /// <param name="store">The store. Stays the caller's.</param>
    /// <param name="name">The lock. Its keys begin with the name and a slash.</param>
    /// <param name="options">How it is held.</param>
    /// <param name="cancellationToken">Gives up, and leaves the line.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    /// <exception cref="MetaStoreException"><see cref="MetaStoreError.LeaseNotFound"/>: the lease ran out while it waited; or the store failed.</exception>
    public static async ValueTask<StoreLock> AcquireAsync(
        IMetaStore store, ReadOnlyMemory<byte> name, TurnOptions? options = null, CancellationToken cancellationToken = default) =>
        new(await HeldTurn.TakeAsync(store, name, ReadOnlyMemory<byte>.Empty, options, cancellationToken).ConfigureAwait(false));

    /// <summary>Gives the lock up. Never fails: at worst it goes with its lease.</summary>
    public ValueTask DisposeAsync() => _turn.DisposeAsync();
}
