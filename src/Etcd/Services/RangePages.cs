using System.Runtime.CompilerServices;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Etcd.Services;

/// <summary>A range in the order of its keys, up or down, page by page, all of it at the revision of the first page.</summary>
internal sealed class RangePages(MetaStoreNode node, RangeRequest range, RangeResponse first, long pageBytes)
{
    /// <summary>Whether the answer can be read by pages. What is sorted by something else has to be seen as a whole.</summary>
    public static bool CanRead(RangeRequest range) => range.SortTarget == SortTarget.Key;

    /// <summary>Whether an answer to the range was cut by its bytes: there is more, and not because of the limit.</summary>
    public static bool IsCut(RangeResponse page, long limit) => page.More && (limit <= 0 || page.Items.Count < limit);

    /// <summary>What follows the first page; nothing where that was not cut. May be read again.</summary>
    /// <exception cref="MetaStoreException">Among others: the revision was compacted meanwhile.</exception>
    public async IAsyncEnumerable<RangeResponse> ReadRestAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // At this revision the member has everything by now: what follows can be asked of it alone.
        long revision = range.Revision.Value > 0 ? range.Revision.Value : first.Header.Revision.Value;
        RangeRequest rest = range with { Revision = new Revision(revision), Serializable = true };
        RangeResponse page = first;
        while (IsCut(page, rest.Limit))
        {
            rest = Behind(rest, page);
            page = await node.RangePageAsync(rest, pageBytes, cancellationToken).ConfigureAwait(false);
            yield return page;
        }
    }

    private static RangeRequest Behind(RangeRequest range, RangeResponse page)
    {
        ReadOnlyMemory<byte> last = page.Items[^1].Key;
        long left = range.Limit > 0 ? range.Limit - page.Items.Count : range.Limit;
        if (range.SortOrder == SortOrder.Descending)
        {
            return range with { RangeEnd = last, Limit = left };
        }

        byte[] next = new byte[last.Length + 1]; // the first key behind it
        last.CopyTo(next);
        return range with { Key = next, Limit = left };
    }
}
