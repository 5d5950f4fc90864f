using System.Globalization;
using System.Text;

namespace MetaStore.Engine.Tests;

/// <summary>A store whose loops are stepped by the test's thread: requests run to their end, one at a time, and answers are described as <see cref="StoreModel"/> does.</summary>
internal abstract class SteppedStore
{
    /// <summary>Time, which stands still until it is moved on.</summary>
    public SteppedNode.ManualTime Time { get; } = new();

    /// <summary>Where requests go.</summary>
    protected abstract IMetaStore Door { get; }

    /// <summary>Steps all loops until none has work.</summary>
    public abstract void Settle();

    /// <summary>Runs a request to its end and describes the answer as <see cref="StoreModel"/> does.</summary>
    public string Run(StoreRequest request)
    {
        try
        {
            return request switch
            {
                PutRequest put => Describe(Wait(Door.PutAsync(put))),
                RangeRequest range => Describe(Wait(Door.RangeAsync(range))),
                DeleteRangeRequest delete => Describe(Wait(Door.DeleteRangeAsync(delete))),
                TxnRequest txn => Describe(Wait(Door.TxnAsync(txn))),
                CompactRequest compact => Describe(Wait(Door.CompactAsync(compact))),
                LeaseGrantRequest grant => Describe(Wait(Door.GrantLeaseAsync(grant))),
                LeaseRevokeRequest revoke => Describe(Wait(Door.RevokeLeaseAsync(revoke))),
                _ => throw new ArgumentException("not a request", nameof(request)),
            };
        }
        catch (MetaStoreException error)
        {
            return $"error {error.Error}";
        }
    }

    public T Wait<T>(ValueTask<T> task)
    {
        Settle();
        for (int i = 0; i < 1000 && !task.IsCompleted; i++)
        {
            Time.Advance(TimeSpan.FromMilliseconds(10));
            Settle();
        }

        return task.IsCompleted ? task.GetAwaiter().GetResult() : throw new TimeoutException("the node does not answer");
    }

    private static string Describe(StoreResponse response) => $"@{response.Header.Revision} {Body(response)}";

    private static string Body(StoreResponse response)
    {
        switch (response)
        {
            case PutResponse put:
                return put.Previous is KeyValue previous ? $"put{Show(previous)}" : "put";
            case DeleteRangeResponse delete:
                return $"deleted {delete.Deleted}{string.Concat(delete.Previous.Select(Show))}";
            case RangeResponse range:
                return $"count {range.Count}{(range.More ? " more" : string.Empty)}{string.Concat(range.Items.Select(Show))}";
            case TxnResponse txn:
                return (txn.Succeeded ? "then" : "else") + string.Concat(txn.Responses.Select(r => $" [{Body(r)}]"));
            case LeaseGrantResponse granted:
                return $"granted {granted.Id} {granted.Ttl}";
            case LeaseRevokeResponse:
                return "revoked";
            default:
                return "compacted";
        }
    }

    private static string Show(KeyValue item) => string.Create(
        CultureInfo.InvariantCulture,
        $" {Encoding.Latin1.GetString(item.Key.Span)}={Encoding.Latin1.GetString(item.Value.Span)}(c{item.CreateRevision} m{item.ModRevision} v{item.Version} l{item.LeaseId})");
}
