using MetaStore.Engine.Hosting;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Simulation;

/// <summary>What must hold of all leases once everything has healed, and what the lease clients of a run count.</summary>
internal sealed class LeaseChecks
{
    private readonly List<byte[]> _staying = [];

    /// <summary>What a jump of its clock takes from a lease at most: a leader counts no step for more than two heartbeats.</summary>
    public const long JumpCounts = 2 * SimulatedNode.Tick;

    /// <summary>Everything heals: nobody asks for anything more.</summary>
    public bool HaveEnded { get; set; }

    /// <summary>How often clocks jumped.</summary>
    public long ClockJumps { get; set; }

    /// <summary>Renewals that were answered.</summary>
    public long Renewals { get; set; }

    /// <summary>A key was taken out of its lease: it stays for good.</summary>
    public void Stays(byte[] key) => _staying.Add(key);

    /// <summary>On every node the leases have run out.</summary>
    public static bool AllAreGone(World world) =>
        Stores(world).All(store => store.View.Leases.Count == 0);

    /// <summary>On every node, of the same state: keys belong to the leases that say so, and what was taken out of its lease is there.</summary>
    public void Check(World world)
    {
        foreach (GroupCore store in Stores(world))
        {
            CheckAttachments(store.Store);
            using ReadSection section = store.Store.Memory.Enter();
            StoreView view = store.View;
            foreach (byte[] key in _staying)
            {
                if (view.Index.Find(key).ReadAt(view.Revision).IsNull)
                {
                    throw new SimulationFailure(FailureKind.Correctness, $"key {Convert.ToHexString(key)} was put without a lease, and is gone");
                }
            }
        }
    }

    /// <summary>The table says of each lease which keys it has; the keys say which lease they have. The two are one.</summary>
    public static void CheckAttachments(MvccStore store)
    {
        using ReadSection section = store.Memory.Enter();
        StoreView view = store.View;
        var visitor = new Attached([], view.Revision);
        view.Index.Scan(KeyRange.From(new byte[] { 0 }, new byte[] { 0 }), ref visitor);
        string byKeys = string.Join(' ', visitor.Keys.OrderBy(pair => pair.Lease).ThenBy(pair => pair.Key, StringComparer.Ordinal));
        string byLeases = string.Join(' ', view.Leases.All.SelectMany(lease => lease.Keys.Select(key => (lease.Id, Convert.ToHexString(key)))));
        if (byKeys != byLeases)
        {
            throw new SimulationFailure(FailureKind.Correctness, $"at index {view.AppliedIndex} the keys say {byKeys}, and the leases {byLeases}");
        }
    }

    /// <summary>Those of the members, by whoever knows most: one that was removed stays where it was.</summary>
    private static IEnumerable<GroupCore> Stores(World world)
    {
        SimulatedNode[] up = [.. world.Nodes.Where(node => node.IsUp)];
        MetaStore.Raft.Membership members = up.Select(node => node.Host!.Groups[0].View).MaxBy(view => view.AppliedIndex)!.Membership;
        return up.Where(node => members.Contains(node.Id)).Select(node => node.Host!.Groups[0]).Where(group => !group.View.IsHollow);
    }

    private readonly struct Attached(List<(long Lease, string Key)> keys, long revision) : IRecordVisitor
    {
        public List<(long Lease, string Key)> Keys { get; } = keys;

        public bool Visit(KeyRecord record)
        {
            if (record.ReadAt(revision) is { IsNull: false, LeaseId: not 0 } version)
            {
                Keys.Add((version.LeaseId, Convert.ToHexString(record.Key)));
            }

            return true;
        }
    }
}
