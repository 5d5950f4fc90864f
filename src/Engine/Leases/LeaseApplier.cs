using System.Collections.Immutable;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Leases;

/// <summary>Applies what is asked of leases, by the writer only. Checks come before effects, and everything depends on replicated state alone.</summary>
internal sealed class LeaseApplier(MvccStore store, AppliedCounts counts)
{
    public static bool IsOne(StoreRequest request) => request is LeaseGrantRequest or LeaseRevokeRequest or ExpireLeasesRequest or CheckpointLeasesRequest;

    public MetaStoreError Check(StoreRequest request) => request switch
    {
        LeaseGrantRequest grant when store.Leases.Find(grant.Id) is not null => MetaStoreError.LeaseExists,
        LeaseRevokeRequest revoke when store.Leases.Find(revoke.Id) is null => MetaStoreError.LeaseNotFound,
        _ => default,
    };

    /// <summary>Carries out a request that has passed its check; the caller puts the header on the answer.</summary>
    public StoreResponse Apply(StoreRequest request, ulong index, ulong term)
    {
        switch (request)
        {
            case LeaseGrantRequest grant:
                long id = grant.Id != 0 ? grant.Id : store.Leases.DrawId();
                store.GrantLease(index, id, checked(grant.Ttl * 1000), endsWithLastKey: false);
                counts.CountLeaseGranted();
                return new LeaseGrantResponse { Id = id, Ttl = grant.Ttl };
            case ExpireLeasesRequest expire when IsOfTheLeader(expire.Term, term):
                foreach (long expired in expire.Ids)
                {
                    Revoke(expired, index, hasExpired: true);
                }

                break;
            case CheckpointLeasesRequest checkpoint when IsOfTheLeader(checkpoint.Term, term):
                foreach (LeaseCheckpoint lease in checkpoint.Leases)
                {
                    store.CheckpointLease(index, lease);
                }

                break;
            case LeaseRevokeRequest revoke:
                Revoke(revoke.Id, index, hasExpired: false);
                break;
        }

        return new LeaseRevokeResponse();
    }

    /// <summary>Makes the lease of a put with a time to live; the put attaches its key in the same step.</summary>
    public long GrantForOneKey(ulong index, TimeSpan timeToLive)
    {
        long id = store.Leases.DrawId();
        store.GrantLease(index, id, timeToLive.Ticks / TimeSpan.TicksPerMillisecond, endsWithLastKey: true);
        counts.CountLeaseGranted();
        return id;
    }

    private static bool IsOfTheLeader(ulong proposed, ulong appended) => proposed == appended || KnownBugs.DeposedLeaderRevokes;

    private void Revoke(long id, ulong index, bool hasExpired)
    {
        if (store.Leases.Find(id) is not { } lease)
        {
            return; // It was revoked, or ended with its key, while this was on its way.
        }

        counts.CountLeaseRevoked(hasExpired);
        DeleteKeys(lease.Keys);
        store.EndRequest(index);
        if (store.Leases.Find(id) is not null)
        {
            store.EndLease(index, id); // One of a single key has ended with it.
        }
    }

    private void DeleteKeys(ImmutableSortedSet<byte[]> keys)
    {
        if (keys.IsEmpty)
        {
            return;
        }

        long revision = store.Revision + 1;
        foreach (byte[] key in keys)
        {
            store.Delete(revision, store.Unpublished.Find(key)!);
        }

        store.CommitRevision(revision);
    }
}
