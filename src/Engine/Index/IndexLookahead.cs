using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// Goes ahead of a run of puts, for some of them at a time, and has the processor fetch what each of them will touch: leaf, key record, newest version. One put alone waits
/// for memory three times, one after the other; sixteen wait three times together. What is found is forgotten: it changes nothing but the time.
/// </summary>
internal static class IndexLookahead
{
    /// <summary>Keys at a time at most.</summary>
    public const int Width = 16;

    /// <summary>Fetches for the puts among the requests, of which there are at most <see cref="Width"/>.</summary>
    public static void Fetch(in KeyIndex index, ReadOnlySpan<StoreRequest> requests)
    {
        Span<IndexNode> leaves = stackalloc IndexNode[Width];
        Span<int> positions = stackalloc int[Width];
        Span<KeyRecord> records = stackalloc KeyRecord[Width];
        for (int i = 0; i < requests.Length; i++)
        {
            leaves[i] = requests[i] is PutRequest put ? index.FindLeaf(put.Key.Span) : default;
            leaves[i].FetchPrefixes();
        }

        for (int i = 0; i < requests.Length; i++)
        {
            positions[i] = leaves[i].IsNull ? 0 : NodeSearch.GuessRecord(leaves[i], ((PutRequest)requests[i]).Key.Span);
            leaves[i].FetchEntry(positions[i]);
        }

        for (int i = 0; i < requests.Length; i++)
        {
            records[i] = leaves[i].IsNull ? default : leaves[i].Records[positions[i]];
            records[i].Fetch();
        }

        foreach (KeyRecord record in records[..requests.Length])
        {
            record.FetchHead();
        }
    }
}
