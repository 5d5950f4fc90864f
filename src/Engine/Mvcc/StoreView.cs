using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Sessions;
using MetaStore.Raft;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// One published version of the store. Immutable, made visible by one volatile store: whoever holds it sees whole batches only.
/// Invariant: CompactRevision &lt;= Revision. A reader at revision R is right while R &gt;= the CompactRevision of the view that is
/// current when it ends: compaction publishes first and cuts version chains after.
/// </summary>
internal sealed class StoreView
{
    public required long Revision { get; init; }

    /// <summary>The oldest readable revision; 0 before the first compaction. Replicated state: never depends on how far this node has cut.</summary>
    public required long CompactRevision { get; init; }

    /// <summary>The keys: for whoever entered the store's memory before it took the view, and until it leaves.</summary>
    public required KeyIndex Index { get; init; }

    /// <summary>The log up to here is in the view. One object with the data, so the two can never part.</summary>
    public required ulong AppliedIndex { get; init; }

    public required ulong AppliedTerm { get; init; }

    /// <summary>Rolling hash over everything ever applied, in order; equal on all nodes at equal index.</summary>
    public required ulong Digest { get; init; }

    /// <summary>Who belongs to the group, as of <see cref="AppliedIndex"/>.</summary>
    public Membership Membership { get; init; } = Membership.Empty;

    /// <summary>Sessions of clients and what came of their requests.</summary>
    public SessionTable Sessions { get; init; } = SessionTable.Empty;

    /// <summary>Leases and the keys that belong to them. A key of a view belongs to a lease of the view, or to none.</summary>
    public LeaseTable Leases { get; init; } = LeaseTable.Empty;

    /// <summary>
    /// Commands were passed over, since they came without what they carry: the store of a witness. It says where the log stands and who the members
    /// are, and nothing about keys.
    /// </summary>
    public bool IsHollow { get; init; }

    public static StoreView Empty { get; } = new()
    {
        Revision = MetaStore.Engine.Revision.First.Value,
        CompactRevision = 0,
        Index = default,
        AppliedIndex = 0,
        AppliedTerm = 0,
        Digest = 0,
    };
}
