using System.Buffers;
using System.Collections.Concurrent;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Metrics;

/// <summary>
/// Calls by the version that their callers say they speak. Callers may say anything, so that only so many versions, and only such as are fit to be told, are kept
/// apart; the others are counted together. Counted by any thread, without a lock once a version is known.
/// </summary>
internal sealed class ClientRequests
{
    /// <summary>The header in which callers name it.</summary>
    public const string Version = "client-api-version";

    /// <summary>Versions that are kept apart, or a few more where several come for the first time at once.</summary>
    public const int VersionsMax = 64;

    private const string Unknown = "unknown";
    private const string Other = "other";
    private const int LengthMax = 32;

    private static readonly SearchValues<char> s_ofVersions = SearchValues.Create("0123456789.-+_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private readonly ConcurrentDictionary<string, Counts> _byVersion = new(StringComparer.Ordinal);
    private int _versions;

    /// <summary>Counts a call.</summary>
    /// <param name="method">What is called.</param>
    /// <param name="version">What the caller names; null: nothing.</param>
    public void Count(RpcMethod method, string? version)
    {
        Counts counts = Of(version ?? Unknown);
        Interlocked.Increment(ref method is UnaryMethod ? ref counts.Unary : ref counts.Stream);
    }

    /// <summary>Writes them.</summary>
    public void Write(PrometheusText text)
    {
        const string Name = "etcd_server_client_requests_total";
        text.Begin(Name, "counter", "The total number of client requests per client version.");
        foreach ((string version, Counts counts) in _byVersion.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            Sample("unary", Volatile.Read(ref counts.Unary));
            Sample("stream", Volatile.Read(ref counts.Stream));

            void Sample(string type, long value)
            {
                if (value > 0)
                {
                    text.Sample(Name, $"client_api_version=\"{version}\",type=\"{type}\"", value);
                }
            }
        }
    }

    private Counts Of(string version)
    {
        if (_byVersion.TryGetValue(version, out Counts? counts))
        {
            return counts;
        }

        bool isFit = version.Length is > 0 and <= LengthMax && !version.AsSpan().ContainsAnyExcept(s_ofVersions) && Volatile.Read(ref _versions) < VersionsMax;
        return _byVersion.GetOrAdd(isFit ? version : Other, Make);
    }

    private Counts Make(string version)
    {
        Interlocked.Increment(ref _versions);
        return new Counts();
    }

    private sealed class Counts
    {
        public long Unary;
        public long Stream;
    }
}
