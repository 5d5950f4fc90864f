namespace MetaStore.Etcd.Rpc;

/// <summary>What a service may know of the call that it serves, whichever way the call came.</summary>
internal abstract class RpcContext
{
    /// <summary>Ends with the caller, its connection, its deadline or the server. Its reason is told by the front, not by the service.</summary>
    public abstract CancellationToken Ended { get; }

    /// <summary>The first value of a metadata entry, by its name in lower case; null where there is none.</summary>
    public abstract string? Metadata(string name);
}
