using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Transactions;

/// <summary>Judges the conditions of a transaction by etcd's rules.</summary>
internal static class CompareEvaluator
{
    public static bool AllHold(in KeyIndex index, long revision, IReadOnlyList<Compare> compares)
    {
        for (int i = 0; i < compares.Count; i++)
        {
            if (!Holds(index, revision, compares[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static bool Holds(in KeyIndex index, long revision, Compare compare)
    {
        KeyRange range = KeyRange.From(compare.Key, compare.RangeEnd);
        var visitor = new Judge(revision, compare);
        index.Scan(range, ref visitor);

        // A missing key, or an empty range, compares as a key of zeros; a value it does not have, so no relation to one holds.
        return visitor.Seen ? visitor.Passed : compare.Target != CompareTarget.Value && Relates(0L.CompareTo(compare.Number), compare.Relation);
    }

    private static bool Passes(VersionRecord version, Compare compare)
    {
        int order = compare.Target switch
        {
            CompareTarget.Version => version.Version.CompareTo(compare.Number),
            CompareTarget.CreateRevision => version.CreateRevision.CompareTo(compare.Number),
            CompareTarget.ModRevision => version.ModRevision.CompareTo(compare.Number),
            CompareTarget.Lease => version.LeaseId.CompareTo(compare.Number),
            _ => version.Value.SequenceCompareTo(compare.Value.Span),
        };
        return Relates(order, compare.Relation);
    }

    private static bool Relates(int order, CompareRelation relation) => relation switch
    {
        CompareRelation.Equal => order == 0,
        CompareRelation.Greater => order > 0,
        CompareRelation.Less => order < 0,
        _ => order != 0,
    };

    private struct Judge(long revision, Compare compare) : IRecordVisitor
    {
        public bool Seen { get; private set; }

        public bool Passed { get; private set; } = true;

        public bool Visit(KeyRecord record)
        {
            VersionRecord version = record.ReadAt(revision);
            if (version.IsNull)
            {
                return true;
            }

            Seen = true;
            Passed = Passes(version, compare);
            return Passed;
        }
    }
}
