using System.Collections.Frozen;

namespace MetaStore.Etcd.Rpc;

/// <summary>All methods that are served, by path. Immutable.</summary>
internal sealed class MethodTable(IEnumerable<RpcMethod> methods)
{
    private readonly FrozenDictionary<string, RpcMethod> _byPath = methods.ToFrozenDictionary(method => method.Path, StringComparer.Ordinal);

    /// <summary>All of them, in no order.</summary>
    public IEnumerable<RpcMethod> All => _byPath.Values;

    /// <summary>Null where there is none.</summary>
    public RpcMethod? Find(string path) => _byPath.GetValueOrDefault(path);
}
