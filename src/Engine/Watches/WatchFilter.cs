using MetaStore.Engine.Index;

namespace MetaStore.Engine.Watches;

/// <summary>What a watch asks for, decoded from its request and checked once, at the door.</summary>
internal sealed class WatchFilter
{
    private static readonly byte[] s_zero = [0];

    private readonly WatchRequest _request;

    /// <exception cref="MetaStoreException">The request asks for nothing that could ever be told.</exception>
    public WatchFilter(WatchRequest request)
    {
        _request = request;

        // As in etcd: no key stands for the first key there can be. The caller's bytes are the caller's: they are copied.
        byte[] key = request.Key.IsEmpty ? s_zero : request.Key.ToArray();
        Range = KeyRange.From(key, request.RangeEnd.ToArray());
        if (Range.IsEmpty)
        {
            throw new MetaStoreException(MetaStoreError.InvalidArgument, "watcher range is empty: its end must lie behind its key");
        }

        if (request.Predicates.Count > WatchRequest.PredicatesMax)
        {
            throw new MetaStoreException(MetaStoreError.InvalidArgument, $"a watch has {request.Predicates.Count} predicates; at most {WatchRequest.PredicatesMax} are taken");
        }

        Predicates = [.. request.Predicates.Select(Copy)];
    }

    public KeyRange Range { get; }

    public bool WantsPrevious => _request.PreviousValue;

    private WatchPredicate[] Predicates { get; }

    /// <summary>Whether an event of a key in the range is asked for.</summary>
    public bool Passes(WatchEventType type, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (type == WatchEventType.Put ? _request.NoPut : _request.NoDelete)
        {
            return false;
        }

        foreach (WatchPredicate predicate in Predicates)
        {
            bool isJudged = predicate.Target == WatchTarget.Key || type == WatchEventType.Put;
            if (isJudged && !Holds(predicate.Relation, predicate.Target == WatchTarget.Key ? key : value, predicate.Bytes.Span))
            {
                return false;
            }
        }

        return true;
    }

    private static WatchPredicate Copy(WatchPredicate predicate)
    {
        if (predicate is null || predicate.Target > WatchTarget.Value || predicate.Relation > WatchRelation.Contains)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"watch predicate {predicate?.ToString() ?? "null"}: the targets are 0 to {(byte)WatchTarget.Value}, the relations 0 to {(byte)WatchRelation.Contains}");
        }

        return predicate with { Bytes = predicate.Bytes.ToArray() };
    }

    private static bool Holds(WatchRelation relation, ReadOnlySpan<byte> given, ReadOnlySpan<byte> bytes) => relation switch
    {
        WatchRelation.Equal => given.SequenceEqual(bytes),
        WatchRelation.NotEqual => !given.SequenceEqual(bytes),
        WatchRelation.StartsWith => given.StartsWith(bytes),
        WatchRelation.EndsWith => given.EndsWith(bytes),
        _ => given.IndexOf(bytes) >= 0,
    };
}
