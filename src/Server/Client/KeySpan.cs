using MetaStore.Server.CommandLine;

namespace MetaStore.Server.Client;

/// <summary>A key or a range of keys as the commands name it, as the store takes it.</summary>
internal readonly record struct KeySpan(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> End)
{
    private static readonly byte[] s_zero = [0];

    public static KeySpan FromText(string key, string? end, bool isPrefix, bool isFromKey) =>
        Make(ArgumentText.ToBytes(key), end is null ? null : ArgumentText.ToBytes(end), isPrefix, isFromKey);

    /// <summary>An empty key means all keys with prefix and from-key, as in etcdctl.</summary>
    /// <exception cref="RefusalException">The parts contradict each other.</exception>
    public static KeySpan Make(byte[] key, byte[]? end, bool isPrefix, bool isFromKey)
    {
        if ((end is null ? 0 : 1) + (isPrefix ? 1 : 0) + (isFromKey ? 1 : 0) > 1)
        {
            throw new RefusalException(ExitCode.Usage, "a second key, --prefix and --from-key exclude each other; give one of them.");
        }

        if (key.Length == 0 && (isPrefix || isFromKey))
        {
            return new KeySpan(s_zero, s_zero);
        }

        if (key.Length == 0)
        {
            throw new RefusalException(ExitCode.Usage, "the key is empty; give a key, or --prefix with it for all keys.");
        }

        return isPrefix ? new KeySpan(key, AfterPrefix(key)) : isFromKey ? new KeySpan(key, s_zero) : new KeySpan(key, end ?? ReadOnlyMemory<byte>.Empty);
    }

    /// <summary>The first key behind all that begin with the prefix; the byte 0, "no end", where there is none.</summary>
    public static byte[] AfterPrefix(ReadOnlySpan<byte> prefix)
    {
        int kept = prefix.LastIndexOfAnyExcept((byte)0xff) + 1;
        if (kept == 0)
        {
            return s_zero;
        }

        byte[] end = prefix[..kept].ToArray();
        end[^1]++;
        return end;
    }
}
