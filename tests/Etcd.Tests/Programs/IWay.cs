using System.Text;

namespace MetaStore.Etcd.Tests.Programs;

/// <summary>A key as a reader sees it. Keys and values have a character for each byte.</summary>
internal sealed record Item(string Key, string Value, long Create, long Mod, long Version, long Lease);

/// <summary>A change as a watcher is told of it.</summary>
internal sealed record Change(bool IsDelete, Item Item);

/// <summary>One of the ways to the store. All are to have one store behind them.</summary>
internal interface IWay : IAsyncDisposable
{
    /// <summary>The revision of the answer.</summary>
    Task<long> PutAsync(string key, string value, long lease = 0);

    /// <summary>The revision of the answer.</summary>
    Task<long> DeleteAsync(string key);

    /// <summary>Puts if the key is not there, in a transaction.</summary>
    Task<bool> CreateAsync(string key, string value);

    Task GrantAsync(long lease, long seconds);

    Task RevokeAsync(long lease);

    /// <summary>All keys that begin so.</summary>
    Task<IReadOnlyList<Item>> ReadAsync(string prefix);

    /// <summary>All changes from here on of keys that begin so. Ends when the watch is there.</summary>
    Task<IWayWatch> WatchAsync(string prefix);
}

/// <summary>A watch through one of the ways.</summary>
internal interface IWayWatch : IAsyncDisposable
{
    Task<Change> NextAsync();
}

/// <summary>Texts with a character for each byte.</summary>
internal static class ByteText
{
    public static byte[] ToBytes(string text) => Encoding.Latin1.GetBytes(text);

    public static string Of(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    /// <summary>The first key that does not begin so.</summary>
    public static byte[] EndOf(string prefix)
    {
        byte[] end = ToBytes(prefix);
        end[^1]++;
        return end;
    }
}
