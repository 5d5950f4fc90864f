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

    public ValueTask CheckOperatorAsync(RpcContext caller) => ValueTask.CompletedTask;
}
