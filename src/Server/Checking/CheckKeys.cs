using System.Buffers.Binary;
using MetaStore.Engine;
using MetaStore.Server.Client;

namespace MetaStore.Server.Checking;

/// <summary>The keys of a check: under a prefix that nobody else uses, and removed in the end.</summary>
/// <param name="store">Where they are.</param>
/// <param name="prefix">What they begin with.</param>
/// <param name="keyBytes">Bytes of a key behind the prefix; 8 or more.</param>
/// <param name="valueBytes">Bytes of a value.</param>
internal sealed class CheckKeys(IMetaStore store, byte[] prefix, int keyBytes, int valueBytes)
{
    private const int RemovedAtOnce = 1000;

    private readonly byte[] _value = new byte[valueBytes];
    private readonly KeySpan _span = KeySpan.Make(prefix, end: null, isPrefix: true, isFromKey: false);

    /// <exception cref="RefusalException">There are keys under the prefix.</exception>
    public async Task RequireNoneAsync(CancellationToken cancel)
    {
        RangeResponse found = await store.RangeAsync(new RangeRequest { Key = _span.Key, RangeEnd = _span.End, Limit = 1, KeysOnly = true }, cancel);
        if (found.Items.Count > 0)
        {
            string text = System.Text.Encoding.UTF8.GetString(prefix);
            throw new RefusalException(ExitCode.Failed, $"prefix \"{text}\" has keys. Delete with metastore del --prefix {text} first.");
        }
    }

    /// <summary>A write of a key that is new, almost certainly.</summary>
    public async Task WriteAsync(Random random, WriteTimes times, CancellationToken cancel)
    {
        byte[] key = new byte[prefix.Length + keyBytes];
        prefix.CopyTo(key, 0);
        BinaryPrimitives.WriteInt64LittleEndian(key.AsSpan(prefix.Length), random.NextInt64());
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        try
        {
            await store.PutAsync(new PutRequest { Key = key, Value = _value }, cancel);
            times.Add(System.Diagnostics.Stopwatch.GetElapsedTime(start));
        }
        catch (MetaStoreException e)
        {
            times.Add(e);
        }
    }

    /// <summary>Removes them, some at a time, so that nobody else has to wait for long. The revision behind that.</summary>
    public async Task<Revision> RemoveAsync(CancellationToken cancel)
    {
        while (true)
        {
            RangeResponse page = await store.RangeAsync(new RangeRequest { Key = _span.Key, RangeEnd = _span.End, Limit = RemovedAtOnce, KeysOnly = true }, cancel);
            if (page.Items.Count == 0)
            {
                return page.Header.Revision;
            }

            await store.DeleteRangeAsync(new DeleteRangeRequest { Key = page.Items[0].Key, RangeEnd = (byte[])[.. page.Items[^1].Key.Span, 0] }, cancel);
        }
    }
}
