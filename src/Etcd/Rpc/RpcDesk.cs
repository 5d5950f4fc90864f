using System.Collections.Frozen;
using MetaStore.Etcd.Metrics;

namespace MetaStore.Etcd.Rpc;

/// <summary>A method, and what came of its calls.</summary>
internal sealed record ServedMethod(RpcMethod Method, RpcCounters Counters);

/// <summary>The methods that the fronts serve, each with its counters: whichever way a call comes, it is counted here. Immutable but for the counts.</summary>
/// <param name="table">The methods.</param>
/// <param name="clock">Measures how long calls take; null: that is not wanted.</param>
internal sealed class RpcDesk(MethodTable table, TimeProvider? clock = null)
{
    private readonly FrozenDictionary<string, ServedMethod> _byPath =
        table.All.ToFrozenDictionary(method => method.Path, method => new ServedMethod(method, new RpcCounters(clock)), StringComparer.Ordinal);

    /// <summary>Calls by the version that their callers name.</summary>
    public ClientRequests Clients { get; } = new();

    /// <summary>All of them, in no order.</summary>
    public IEnumerable<ServedMethod> Methods => _byPath.Values;

    /// <summary>Null where there is none.</summary>
    public ServedMethod? Find(string path) => _byPath.GetValueOrDefault(path);
}
