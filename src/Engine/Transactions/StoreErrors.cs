namespace MetaStore.Engine.Transactions;

/// <summary>The exceptions for what can go wrong with a request at the store, with etcd's texts.</summary>
internal static class StoreErrors
{
    public static MetaStoreException ToException(MetaStoreError error) => new(error, error switch
    {
        MetaStoreError.KeyNotFound => "key not found",
        MetaStoreError.Compacted => "required revision has been compacted",
        MetaStoreError.FutureRevision => "required revision is a future revision",
        MetaStoreError.LeaseNotFound => "requested lease not found",
        _ => error.ToString(),
    });
}
