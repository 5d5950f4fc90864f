namespace MetaStore.Engine.Transactions;

/// <summary>What was applied since the start. Counted by the apply loop alone, read by any thread; nothing is decided by it.</summary>
internal sealed class AppliedCounts
{
    private long _puts;
    private long _deletes;
    private long _txns;

    public long Puts => Volatile.Read(ref _puts);

    public long Deletes => Volatile.Read(ref _deletes);

    public long Txns => Volatile.Read(ref _txns);

    public void CountPut() => Volatile.Write(ref _puts, _puts + 1);

    public void CountDelete() => Volatile.Write(ref _deletes, _deletes + 1);

    public void CountTxn() => Volatile.Write(ref _txns, _txns + 1);
}
