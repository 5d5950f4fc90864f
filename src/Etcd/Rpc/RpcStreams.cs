namespace MetaStore.Etcd.Rpc;

/// <summary>The caller's messages, in order. One reader at a time.</summary>
internal interface IRpcReader<T>
    where T : class
{
    /// <summary>The next message; null once the caller has said its last.</summary>
    /// <exception cref="RpcException">The message cannot be read, or is too large.</exception>
    ValueTask<T?> ReadAsync(CancellationToken cancellationToken);
}

/// <summary>The answers, in order. One writer at a time.</summary>
internal interface IRpcWriter<in T>
    where T : class
{
    /// <summary>Completes when the next answer may be written: a caller that does not read holds up whoever writes, and nobody else.</summary>
    ValueTask WriteAsync(T message, CancellationToken cancellationToken);
}
