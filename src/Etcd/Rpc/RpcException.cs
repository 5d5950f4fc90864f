namespace MetaStore.Etcd.Rpc;

/// <summary>A call ends with a status other than OK. Clients of etcd tell errors apart by the message, so it is etcd's own, to the letter.</summary>
internal sealed class RpcException(StatusCode code, string message) : Exception(message)
{
    /// <summary>The status.</summary>
    public StatusCode Code { get; } = code;
}
