using System.Text;
using MetaStore.Engine;

namespace MetaStore.Conformance.Tests;

/// <summary>Reads a store in pages, as one answer must not grow without bound.</summary>
internal static class StoreReading
{
    /// <summary>All keys with a prefix (of plain ASCII, not empty), at one revision.</summary>
    public static async Task<IReadOnlyDictionary<string, string>> ReadAllAsync(IMetaStore store, string prefix, bool serializable)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        byte[] from = Encoding.UTF8.GetBytes(prefix);
        byte[] end = [.. from[..^1], (byte)(from[^1] + 1)];
        Revision revision = Revision.Current;
        long keys = 2000;
        while (true)
        {
            RangeResponse page;
            try
            {
                page = await store.RangeAsync(new RangeRequest { Key = from, RangeEnd = end, Limit = keys, Revision = revision, Serializable = serializable });
            }
            catch (MetaStoreException e) when (e.Error == MetaStoreError.ResponseTooLarge && keys > 1)
            {
                keys /= 2;
                continue;
            }

            revision = revision == Revision.Current ? page.Header.Revision : revision;
            foreach (KeyValue item in page.Items)
            {
                found.Add(Encoding.UTF8.GetString(item.Key.Span), Encoding.UTF8.GetString(item.Value.Span));
            }

            if (!page.More)
            {
                return found;
            }

            from = [.. page.Items[^1].Key.Span, 0];
        }
    }
}
