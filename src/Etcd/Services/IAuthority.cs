using MetaStore.Engine;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>
/// The one place that decides whether a caller may do what it asks for. Every request of a service passes it, as a whole: a transaction with all that it nests, a watch
/// with its whole range.
/// </summary>
internal interface IAuthority
{
    /// <summary>A request to the keys or the leases.</summary>
    /// <exception cref="RpcException">The caller may not.</exception>
    ValueTask CheckAsync(RpcContext caller, StoreRequest request);

    /// <summary>A watch.</summary>
    /// <exception cref="RpcException">The caller may not.</exception>
    ValueTask CheckWatchAsync(RpcContext caller, WatchRequest request);

    /// <summary>The renewal of a lease.</summary>
    /// <exception cref="RpcException">The caller may not.</exception>
    ValueTask CheckKeepAliveAsync(RpcContext caller, long leaseId);

    /// <summary>The list of all leases; whoever has it can renew or revoke what is on it.</summary>
    /// <exception cref="RpcException">The caller may not.</exception>
    ValueTask CheckLeaseListAsync(RpcContext caller);

    /// <summary>What is for operators alone: members, snapshots, compaction, leadership.</summary>
    /// <exception cref="RpcException">The caller may not.</exception>
    ValueTask CheckOperatorAsync(RpcContext caller);
}

/// <summary>Everybody may do everything: authentication is off.</summary>
internal sealed class OpenAuthority : IAuthority
{
    private OpenAuthority()
    {
    }

    public static OpenAuthority Instance { get; } = new();

    public ValueTask CheckAsync(RpcContext caller, StoreRequest request) => ValueTask.CompletedTask;

    public ValueTask CheckWatchAsync(RpcContext caller, WatchRequest request) => ValueTask.CompletedTask;

    public ValueTask CheckKeepAliveAsync(RpcContext caller, long leaseId) => ValueTask.CompletedTask;

    public ValueTask CheckLeaseListAsync(RpcContext caller) => ValueTask.CompletedTask;

    public ValueTask CheckOperatorAsync(RpcContext caller) => ValueTask.CompletedTask;
}
