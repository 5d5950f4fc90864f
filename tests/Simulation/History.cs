using MetaStore.Engine;
using MetaStore.Testing.Linearizability;

namespace MetaStore.Simulation;

/// <summary>What a client asked, and what came of it.</summary>
internal sealed class HistoryEntry
{
    public required StoreRequest Request { get; init; }

    /// <summary>Position of the call in the order of everything that happened.</summary>
    public required long Invoked { get; init; }

    /// <summary>Position of the answer; <see cref="long.MaxValue"/> where the outcome is unknown.</summary>
    public long Returned { get; set; } = long.MaxValue;

    /// <summary>When it was called, in nanoseconds of the run's time.</summary>
    public required long InvokedAt { get; init; }

    /// <summary>When the answer came; <see cref="long.MaxValue"/> where none did.</summary>
    public long ReturnedAt { get; set; } = long.MaxValue;

    public StoreResponse? Response { get; set; }

    /// <summary>A read that asked for no more than the node's own state, and was answered from it, with a word on how old that may be.</summary>
    public bool MayBeStale => Request is RangeRequest range && (range.Serializable || range.StalenessMax > TimeSpan.Zero)
        && Response is RangeResponse { Staleness: { } staleness } && staleness > TimeSpan.Zero;

    /// <summary>The operation failed and is known to have had no effect.</summary>
    public bool HadNoEffect { get; set; }
}

/// <summary>Everything the clients did in one run, and the checks on it.</summary>
internal sealed class History
{
    private readonly List<HistoryEntry> _entries = [];

    public IReadOnlyList<HistoryEntry> Entries => _entries;

    /// <summary>
    /// Keys whose search was given up. Their histories have passed the check by revisions, which is complete in itself; what is
    /// missing for them is the second opinion that does not trust the revisions.
    /// </summary>
    public int Undecided { get; private set; }

    public void Add(HistoryEntry entry) => _entries.Add(entry);

    /// <param name="clockError">By how much clocks may be wrong, as a share: what a read says of its own age is measured on one.</param>
    /// <exception cref="SimulationFailure">The history is not what a linearizable store could have answered.</exception>
    public void Check(double clockError)
    {
        OnceWitness.Check(_entries);
        HistoryEntry[] relevant = [.. _entries.Where(e => !e.HadNoEffect)];
        Dictionary<long, List<RegisterOperation>> keys = RegisterProjection.ByKey(relevant);
        long[] openPlaces = RegisterProjection.OpenPlaces(keys.Values);
        foreach ((long key, List<RegisterOperation> operations) in keys)
        {
            LinearizabilityChecker.Verdict verdict = LinearizabilityChecker.Check(operations, openPlaces);
            if (verdict == LinearizabilityChecker.Verdict.Violation)
            {
                throw new SimulationFailure(FailureKind.Correctness, $"the {operations.Count} operations on key {key} are not linearizable");
            }

            Undecided += verdict == LinearizabilityChecker.Verdict.Undecided ? 1 : 0;
        }

        RevisionWitness.Check(relevant, clockError);
    }
}
