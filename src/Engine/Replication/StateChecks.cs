using System.Buffers.Binary;

namespace MetaStore.Engine.Replication;

/// <summary>
/// The body of a state check, an entry by which the cluster says which state it is in: what most voters reported at an earlier index.
/// <code>
/// check := index:u64  digest:u64        (little-endian; part of the disk and wire format: never reorder)
/// </code>
/// </summary>
internal readonly record struct StateCheck(ulong Index, ulong Digest)
{
    public const int Bytes = 16;

    public byte[] Encode()
    {
        var bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Index);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), Digest);
        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are no state check.</exception>
    public static StateCheck Decode(ReadOnlyMemory<byte> bytes) => bytes.Length == Bytes
        ? new StateCheck(BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span), BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span[8..]))
        : throw new RequestFormatException($"a state check of {bytes.Length} bytes; it has {Bytes}");
}

/// <summary>
/// This node's own state at each Nth index, reported when it is reached and held against the checks that come out of the log. Owned by
/// the apply loop.
/// </summary>
internal sealed class StateChecks(ulong every, Action<StateCheck> reached)
{
    /// <summary>A check comes out of the log soon after its index; what is older than this many was missed, and the next one will tell as well.</summary>
    private const int Kept = 64;

    private readonly Queue<StateCheck> _own = new();

    /// <summary>Checks that agreed.</summary>
    public long Agreed { get; private set; }

    /// <summary>The entry at <paramref name="index"/> is applied.</summary>
    public void Applied(ulong index, ulong digest)
    {
        if (index % every != 0)
        {
            return;
        }

        var check = new StateCheck(index, digest);
        _own.Enqueue(check);
        if (_own.Count > Kept)
        {
            _own.Dequeue();
        }

        reached(check);
    }

    /// <summary>What the cluster says of an earlier index.</summary>
    /// <exception cref="StateDivergedException">This node was in another state there.</exception>
    public void Compare(StateCheck check)
    {
        foreach (StateCheck own in _own)
        {
            if (own.Index == check.Index || KnownBugs.StatesOfOtherIndexesCompared)
            {
                Agreed += own.Digest == check.Digest ? 1 : throw new StateDivergedException(own, check);
            }
        }
    }
}

/// <summary>What the voters that hold data reported of their states; on the leader. Owned by the node loop.</summary>
internal sealed class StateTally
{
    private const int IndexesKept = 16;

    private readonly SortedDictionary<ulong, Dictionary<ulong, ulong>> _reports = [];
    private ulong _settled;

    /// <summary>A voter reports. The check to propose, once most of them report the same.</summary>
    public StateCheck? Add(ulong node, StateCheck report, MetaStore.Raft.Membership membership)
    {
        // Witnesses are in no state.
        int voters = membership.Voters.Count(voter => !membership.IsWitness(voter));
        if (report.Index <= _settled || voters < 2)
        {
            return null;
        }

        if (!_reports.TryGetValue(report.Index, out Dictionary<ulong, ulong>? reports))
        {
            _reports.Add(report.Index, reports = []);
            if (_reports.Count > IndexesKept)
            {
                _reports.Remove(_reports.Keys.First());
            }
        }

        reports[node] = report.Digest;
        int agreeing = membership.Voters.Count(voter => !membership.IsWitness(voter) && reports.TryGetValue(voter.Value, out ulong digest) && digest == report.Digest);
        if (agreeing <= voters / 2)
        {
            return null;
        }

        _settled = report.Index;
        foreach (ulong index in _reports.Keys.Where(index => index <= _settled).ToArray())
        {
            _reports.Remove(index);
        }

        return report;
    }
}

/// <summary>
/// This node applied the same log as the others and came out in another state: its memory, its program or its machine is at fault. It must
/// not serve what it holds.
/// </summary>
internal sealed class StateDivergedException(StateCheck own, StateCheck check) : Exception(
    $"the state of this node has diverged: at index {own.Index} its hash was {own.Digest:x16}, and that of most voters {check.Digest:x16}; "
    + "it stops serving. \"metastore repair --data-dir DIR --diverged\" sets its state aside; started again, it gets that of the others")
{
    /// <summary>The index at which the two differ.</summary>
    public ulong Index { get; } = own.Index;
}
