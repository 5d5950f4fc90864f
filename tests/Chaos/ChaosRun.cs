using MetaStore.Engine;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>One run: rounds of faults under load, and after each the check of all that was answered in it.</summary>
internal static class ChaosRun
{
    /// <summary>All clocks are this machine's; what they may differ by is what measuring takes.</summary>
    private const double ClockError = 0.01;

    /// <exception cref="TimeoutException">No progress though everything had healed.</exception>
    public static async Task<ChaosReport> RunAsync(ChaosOptions options, TextWriter output, CancellationToken stop = default)
    {
        var report = new ChaosReport(output);
        var random = new SimulationRandom(options.Seed);
        var recorder = new Recorder();
        var acknowledged = new AcknowledgedChanges();
        await using ChaosCluster cluster = await ChaosCluster.StartAsync(options);
        try
        {
            for (int round = 0; round < options.Rounds; round++)
            {
                var keys = new Keyspace(round);
                await LoadAsync(cluster, options, recorder, keys, random.Branch(), report, stop);
                await CheckAsync(cluster, recorder, keys, acknowledged, report);
                report.Note($"round {round + 1} of {options.Rounds}: {report}");
            }

            report.Lost += await acknowledged.CountLostAtEndAsync(cluster.Node(0));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // The clients have ended, so that the history is whole; what it shows may be the cause of what went wrong.
            CheckHistory(recorder.Take(), report);
            output.WriteLine(cluster.DescribeNodes());
            throw;
        }

        int[] exitCodes = await cluster.StopAllAsync();
        return exitCodes.All(code => code == 0)
            ? report
            : throw new InvalidOperationException($"The nodes, asked to stop, ended with {string.Join(", ", exitCodes)}.");
    }

    private static async Task LoadAsync(
        ChaosCluster cluster, ChaosOptions options, Recorder recorder, Keyspace keys, SimulationRandom random, ChaosReport report, CancellationToken stop)
    {
        await using var probe = new LeaderProbe(cluster, options, recorder, keys, random.Branch());
        await using Workload workload = Workload.Start(cluster, options, recorder, keys, random.Branch());
        await new Nemesis(cluster, probe, options, random.Branch(), report).RunAsync(stop).WaitAsync(stop);
        await workload.StopAsync();
        await probe.DrainAsync();
    }

    private static async Task CheckAsync(ChaosCluster cluster, Recorder recorder, Keyspace keys, AcknowledgedChanges acknowledged, ChaosReport report)
    {
        await cluster.WaitUntilWellAsync();
        RangeResponse? last = null;
        foreach (int node in ChaosCluster.Nodes)
        {
            last = await recorder.AskAsync(cluster.Node(node), keys.ReadAll(serializable: false)) as RangeResponse
                ?? throw new TimeoutException($"n{node} does not answer a read, though everything has healed.");
        }

        IReadOnlyList<HistoryEntry> entries = recorder.Take();
        report.Operations += entries.Count;
        report.Violations += CheckHistory(entries, report);
        report.Lost += await AcknowledgedChanges.CountLostAsync(cluster.Node(0), entries);
        acknowledged.EndRound(keys, last!, entries);
        report.AreHashesEqual &= await CompareHashesAsync(cluster, last!.Header.Revision, report);
        await CompactAsync(cluster, last.Header.Revision);
    }

    private static int CheckHistory(IReadOnlyList<HistoryEntry> entries, ChaosReport report)
    {
        var history = new History();
        foreach (HistoryEntry entry in entries)
        {
            history.Add(entry);
        }

        try
        {
            history.Check(ClockError);
        }
        catch (SimulationFailure failure)
        {
            report.Note($"VIOLATION: {failure.Message}");
            return 1;
        }

        if (history.Undecided > 0)
        {
            report.Note($"undecided: {history.Undecided} key histories were too entangled for the search and are checked by their revisions alone");
        }

        return 0;
    }

    /// <summary>The hash covers all keys with their kept history, so that it is equal only where that is equal on all nodes.</summary>
    private static async Task<bool> CompareHashesAsync(ChaosCluster cluster, Revision revision, ChaosReport report)
    {
        await cluster.WaitUntilWellAsync();
        HashResponse[] hashes = await Task.WhenAll(ChaosCluster.Nodes.Select(node => cluster.Node(node).HashAsync(new HashRequest(revision)).AsTask()));
        if (hashes.All(hash => (hash.Hash, hash.HashRevision, hash.CompactRevision) == (hashes[0].Hash, revision, hashes[0].CompactRevision)))
        {
            return true;
        }

        report.Note($"HASHES DIFFER at revision {revision}: {string.Join(", ", hashes.Select(hash => $"{hash.Hash:x8} (at {hash.HashRevision}, compacted to {hash.CompactRevision})"))}");
        return false;
    }

    /// <summary>A snapshot holds all history that is kept; without compaction a run of an hour would spend it on snapshots.</summary>
    private static async Task CompactAsync(ChaosCluster cluster, Revision revision)
    {
        try
        {
            await cluster.Node(0).CompactAsync(new CompactRequest(revision));
        }
        catch (MetaStoreException e) when (e.Error is MetaStoreError.Compacted or MetaStoreError.Timeout)
        {
            // Done by a try whose answer was lost, or left to the next round.
        }
    }
}
