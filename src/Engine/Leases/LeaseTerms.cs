namespace MetaStore.Engine.Leases;

/// <summary>
/// Raises times to live to the least that a node grants. Done at the door, before anything is proposed: the least follows from a node's settings, which
/// may differ between members, and what is in the log must mean the same to all.
/// </summary>
internal sealed class LeaseTerms(TimeSpan electionTimeout)
{
    private readonly TimeSpan _least = TimeSpan.FromMilliseconds(Math.Max(1000, Math.Ceiling(1.5 * electionTimeout.TotalMilliseconds)));

    /// <summary>The request as it goes into the log.</summary>
    public StoreRequest Raise(StoreRequest request) => request switch
    {
        PutRequest put => Raise(put),
        LeaseGrantRequest grant => Raise(grant),
        TxnRequest txn when HasTimeToLive(txn) => txn with { Success = Raise(txn.Success), Failure = Raise(txn.Failure) },
        SessionRequest session when Raise(session.Request) is var raised && !ReferenceEquals(raised, session.Request) => session with { Request = raised },
        _ => request,
    };

    private static bool HasTimeToLive(TxnRequest txn)
    {
        foreach (StoreRequest request in (IEnumerable<StoreRequest>)[.. txn.Success, .. txn.Failure])
        {
            if (request is PutRequest put ? put.TimeToLive != TimeSpan.Zero : request is TxnRequest nested && HasTimeToLive(nested))
            {
                return true;
            }
        }

        return false;
    }

    private StoreRequest[] Raise(IReadOnlyList<StoreRequest> branch) => [.. branch.Select(Raise)];

    private LeaseGrantRequest Raise(LeaseGrantRequest grant)
    {
        long least = (long)Math.Ceiling(_least.TotalSeconds);
        return grant.Ttl >= least ? grant : grant with { Ttl = least };
    }

    /// <summary>Whole milliseconds, rounded up: that is what the log carries.</summary>
    private PutRequest Raise(PutRequest put)
    {
        if (put.TimeToLive == TimeSpan.Zero)
        {
            return put;
        }

        long asked = Math.Max(put.TimeToLive.Ticks, _least.Ticks);
        long milliseconds = (asked + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;
        return put with { TimeToLive = TimeSpan.FromTicks(milliseconds * TimeSpan.TicksPerMillisecond) };
    }
}
