namespace MetaStore.Engine.Transactions;

/// <summary>What was applied since the start. Counted by the apply loop alone, read by any thread; nothing is decided by it.</summary>
internal sealed class AppliedCounts
{
    private long _puts;
    private long _deletes;
    private long _txns;
    private long _leasesGranted;
    private long _leasesRevoked;
    private long _leasesExpired;

    public long Puts => Volatile.Read(ref _puts);

    public long Deletes => Volatile.Read(ref _deletes);

    public long Txns => Volatile.Read(ref _txns);

    public long LeasesGranted => Volatile.Read(ref _leasesGranted);

    /// <summary>Those that ran out too.</summary>
    public long LeasesRevoked => Volatile.Read(ref _leasesRevoked);

    public long LeasesExpired => Volatile.Read(ref _leasesExpired);

    public void CountPut() => Volatile.Write(ref _puts, _puts + 1);

    public void CountDelete() => Volatile.Write(ref _deletes, _deletes + 1);

    public void CountTxn() => Volatile.Write(ref _txns, _txns + 1);

    public void CountLeaseGranted() => Volatile.Write(ref _leasesGranted, _leasesGranted + 1);

    public void CountLeaseRevoked(bool hasExpired)
    {
        Volatile.Write(ref _leasesRevoked, _leasesRevoked + 1);
        if (hasExpired)
        {
            Volatile.Write(ref _leasesExpired, _leasesExpired + 1);
        }
    }
}
