using System.Collections.Frozen;
using MetaStore.Etcd.Metrics;

namespace MetaStore.Etcd.Rpc;

/// <summary>A method, and what came of its calls.</summary>
internal sealed record ServedMethod(RpcMethod Method, RpcCounters Counters);

/// <summary>The methods that the fronts serve, each with its counters: whichever way a call comes, it is counted here. Immutable but for the counts.</summary>
internal sealed class RpcDesk(MethodTable table)
{
    private readonly FrozenDictionary<string, ServedMethod> _byPath =
        table.All.ToFrozenDictionary(method => method.Path, method => new ServedMethod(method, new RpcCounters()), StringComparer.Ordinal);

    /// <summary>All of them, in no order.</summary>
    public IEnumerable<ServedMethod> Methods => _byPath.Values;

    /// <summary>Null where there is none.</summary>
    public ServedMethod? Find(string path) => _byPath.GetValueOrDefault(path);
}
