using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>
/// The power is cut at every single disk operation of a run that appends, truncates, marks, rolls, releases and restarts; then at every operation
/// of the recovery, and of the recovery of that. Whatever the crash keeps or loses, the log comes back with all that was acknowledged, or with the
/// one batch in flight besides, whole, or of that the terms and votes alone; and it can be written and restarted again.
/// </summary>
public sealed class CrashTests
{
    private const int Steps = 40;

    public static TheoryData<CrashPolicy, bool, int> Crashes()
    {
        var data = new TheoryData<CrashPolicy, bool, int>();
        foreach (CrashPolicy policy in Enum.GetValues<CrashPolicy>())
        {
            data.Add(policy, false, 1);
            data.Add(policy, true, 2);
        }

        data.Add(CrashPolicy.KeepRandom, true, 3);
        data.Add(CrashPolicy.KeepRandom, false, 4);
        return data;
    }

    [Theory]
    [MemberData(nameof(Crashes))]
    public void A_crash_at_any_operation_loses_nothing_acknowledged(CrashPolicy policy, bool partialWrites, int seed)
    {
        long operations = Run(TestLog.Disk(seed), seed).Operations;
        Assert.InRange(operations, 100, 2000);
        for (long at = 1; at <= operations; at++)
        {
            FaultyDisk disk = TestLog.Disk(seed);
            disk.Faults = new DiskFaults { PowerOffAtOperation = at, CrashLeavesPartialWrite = partialWrites };
            RunState state = Run(disk, seed);
            Assert.True(disk.IsPoweredOff);
            disk.Crash(policy);
            Check(disk, state, $"operation {at}, {policy}", seed, nested: 2);
        }
    }

    [Fact]
    public void A_crash_in_a_recovery_that_cuts_a_torn_end_is_recovered_from()
    {
        for (int seed = 1; seed <= 60; seed++)
        {
            FaultyDisk disk = TestLog.Disk(seed);
            var random = new Random(seed);
            RunState state = Run(disk, seed, steps: 12);
            disk.Crash(CrashPolicy.LoseAll);
            string last = TestLog.Segments(disk)[^1];
            byte[] bytes = disk.ReadAllBytes(last);
            int end = TestLog.EndOfLog(bytes);
            byte[] torn = new byte[Math.Min(random.Next(1, 1500), bytes.Length - end)];
            random.NextBytes(torn);
            torn.CopyTo(bytes.AsSpan(end));
            disk.WriteAllBytes(last, bytes);
            CheckNested(disk, state, $"seed {seed}", random, depth: 3, CrashPolicy.KeepRandom);
            Check(disk, state, $"seed {seed}", seed, nested: 0);
        }
    }

    [Fact]
    public void A_torn_batch_is_cut_and_what_is_written_next_survives_two_restarts()
    {
        int torn = 0;
        for (int seed = 1; seed <= 100; seed++)
        {
            FaultyDisk disk = TestLog.Disk(seed);
            WriteAheadLog log = TestLog.Open(disk, out _);
            var model = new LogModel();
            LogWrite first = TestLog.Entries(1, 1, 2);
            log.Write([first]);
            model.Apply(first);
            disk.ResetCounters();
            disk.Faults = new DiskFaults { PowerOffAtOperation = 2 }; // the sync
            Assert.Throws<SimulatedCrashException>(() => log.Write([TestLog.Entries(1, 3, 4, bytes: 600)]));
            disk.Faults = new DiskFaults();
            disk.Crash(CrashPolicy.KeepRandom);

            log = TestLog.Open(disk, out WalRecovery recovery);
            torn += recovery.Cut is null ? 0 : 1;
            ulong next = (ulong)recovery.Groups[0].Entries.Count + 1;
            if (next > 3)
            {
                continue; // all of its sectors happened to be kept
            }

            for (int i = 0; i < 2; i++)
            {
                LogWrite write = TestLog.Entries(1, next++, 1, term: 2, bytes: 30);
                log.Write([write]);
                model.Apply(write);
                disk.Crash(CrashPolicy.LoseAll);
                log = TestLog.Open(disk, out recovery);
                Assert.Equal(model.ToString(), LogModel.Describe(recovery));
                Assert.Null(recovery.Cut);
            }
        }

        Assert.InRange(torn, 30, 100);
    }

    /// <summary>Runs the same steps for the same seed until they are done or the power goes out.</summary>
    private static RunState Run(FaultyDisk disk, int seed, int steps = Steps)
    {
        var random = new Random(seed * 7919);
        var generator = new WriteGenerator(random, groups: 3, entryBytesMax: 300);
        var state = new RunState();
        try
        {
            WriteAheadLog log = TestLog.Open(disk, out _);
            for (int step = 0; step < steps; step++)
            {
                if (step % 13 == 12)
                {
                    log.Dispose();
                    log = TestLog.Open(disk, out _);
                }

                LogModel next = state.Acknowledged.Clone();
                List<LogWrite> batch = generator.NextBatch(next);
                state.InFlight = next;
                log.Write(batch);
                state.Acknowledged = next;
                log.ReleaseSegments();
                log.PrepareAhead();
            }
        }
        catch (SimulatedCrashException)
        {
            // That is what the run is for.
        }

        state.Operations = disk.Operations;
        return state;
    }

    private static void Check(FaultyDisk disk, RunState state, string where, int seed, int nested)
    {
        var random = new Random(seed);
        CheckNested(disk, state, where, random, nested, CrashPolicy.KeepRandom);
        WriteAheadLog log = TestLog.Open(disk, out WalRecovery recovery);
        string recovered = LogModel.Describe(recovery);
        LogModel? model = state.Find(recovered);
        Assert.True(model is not null, $"{where}: {recovered} is neither {state.Acknowledged} nor {state.InFlight}");
        var generator = new WriteGenerator(random, groups: 3, entryBytesMax: 300);
        for (int restart = 0; restart < 2; restart++)
        {
            log.Write(generator.NextBatch(model));
            log.Write(generator.NextBatch(model));
            log.ReleaseSegments();
            disk.Crash(CrashPolicy.LoseAll);
            log = TestLog.Open(disk, out recovery);
            Assert.True(model.ToString() == LogModel.Describe(recovery), $"{where}, restart {restart}: {LogModel.Describe(recovery)} is not {model}");
        }
    }

    /// <summary>Cuts the power at each operation of the recovery, on a copy, and again in the recovery of that.</summary>
    private static void CheckNested(FaultyDisk disk, RunState state, string where, Random random, int depth, CrashPolicy policy)
    {
        if (depth == 0)
        {
            string recovered = LogModel.Describe(TestLog.Reopen(disk.Clone(random)));
            Assert.True(state.Find(recovered) is not null, $"{where}, nested: {recovered} is neither {state.Acknowledged} nor {state.InFlight}");
            return;
        }

        for (long at = 1; ; at++)
        {
            FaultyDisk copy = disk.Clone(random);
            copy.Faults = new DiskFaults { PowerOffAtOperation = at, CrashLeavesPartialWrite = random.Next(2) == 0 };
            try
            {
                TestLog.Open(copy, out _);
                return;
            }
            catch (SimulatedCrashException)
            {
                copy.Faults = new DiskFaults();
                copy.Crash(policy);
                CheckNested(copy, state, $"{where}, recovery operation {at}", random, depth - 1, policy);
            }
        }
    }

    private sealed class RunState
    {
        public LogModel Acknowledged { get; set; } = new();

        public LogModel InFlight { get; set; } = new();

        public long Operations { get; set; }

        /// <summary>Which of the states that may be found this is; null for another.</summary>
        public LogModel? Find(string recovered) =>
            new[] { Acknowledged, InFlight, Acknowledged.WithVotesOf(InFlight) }.FirstOrDefault(model => model.ToString() == recovered)?.Clone();
    }
}
