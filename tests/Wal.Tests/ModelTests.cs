using FsCheck;
using FsCheck.Fluent;
using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>The log against plain lists, under random writes, restarts, crashes, segment sizes and disk errors.</summary>
public sealed class ModelTests
{
    [Fact]
    public void The_log_and_the_model_agree_whatever_is_done()
        => Prop.ForAll(ArbMap.Default.ArbFor<int>(), Agrees)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(400).WithReplay(20_260_101, 1));

    [Fact]
    public void Random_disk_errors_lose_nothing_acknowledged()
    {
        int failed = 0;
        for (int seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            FaultyDisk disk = TestLog.Disk(seed);
            var model = new LogModel();
            LogModel inFlight = model;
            var generator = new WriteGenerator(random, groups: 4, entryBytesMax: 700);
            WriteAheadLog log = TestLog.Open(disk, out _);
            disk.Faults = new DiskFaults { ErrorProbability = 0.01, NoSpaceProbability = 0.01 };
            try
            {
                for (int i = 0; i < 60; i++)
                {
                    inFlight = model.Clone();
                    log.Write(generator.NextBatch(inFlight));
                    model = inFlight;
                    log.ReleaseSegments();
                    log.PrepareAhead();
                }
            }
            catch (DiskException)
            {
                failed++;
            }

            log.Dispose();
            disk.Faults = new DiskFaults();
            disk.Crash(random.Next(2) == 0 ? CrashPolicy.ProcessKill : CrashPolicy.KeepRandom);
            log = TestLog.Open(disk, out WalRecovery recovery);
            string recovered = LogModel.Describe(recovery);
            Assert.Contains(recovered, new[] { model.ToString(), inFlight.ToString(), model.WithVotesOf(inFlight).ToString() });
            disk.Crash(CrashPolicy.LoseAll); // what was reported must be durable
            Assert.Equal(recovered, LogModel.Describe(TestLog.Reopen(disk)));
            GC.KeepAlive(log);
        }

        Assert.InRange(failed, 100, 400);
    }

    [Fact]
    public void Read_errors_refuse_the_start_and_harm_nothing()
    {
        FaultyDisk disk = TestLog.Disk();
        var model = new LogModel();
        var generator = new WriteGenerator(new Random(3), groups: 3, entryBytesMax: 300);
        using (WriteAheadLog log = TestLog.Open(disk, out _))
        {
            for (int i = 0; i < 60; i++)
            {
                log.Write(generator.NextBatch(model));
            }
        }

        disk.Faults = new DiskFaults { ReadErrorProbability = 0.2 };
        int refused = 0;
        for (int i = 0; i < 100; i++)
        {
            try
            {
                Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
            }
            catch (DiskException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 50, 100);
        disk.Faults = new DiskFaults();
        Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
    }

    private static void Agrees(int seed)
    {
        var random = new Random(seed);
        FaultyDisk disk = TestLog.Disk(seed);
        var model = new LogModel();
        var generator = new WriteGenerator(random, groups: random.Next(1, 8), entryBytesMax: random.Next(1, 2000));
        WriteAheadLog log = TestLog.Open(disk, out _, RandomOptions(random));
        int steps = random.Next(5, 120);
        for (int step = 0; step < steps; step++)
        {
            switch (random.Next(12))
            {
                case 0:
                    log.Dispose();
                    log = TestLog.Open(disk, out WalRecovery recovery, RandomOptions(random));
                    Assert.Equal(model.ToString(), LogModel.Describe(recovery));
                    break;
                case 1:
                    disk.Crash(CrashPolicy.LoseAll);
                    log = TestLog.Open(disk, out recovery, RandomOptions(random));
                    Assert.Equal(model.ToString(), LogModel.Describe(recovery));
                    break;
                case 2:
                    log.ReleaseSegments();
                    break;
                case 3:
                    log.PrepareAhead();
                    break;
                default:
                    log.Write(generator.NextBatch(model));
                    break;
            }
        }

        log.Dispose();
        // The model's marks stand for snapshots that nobody took here; every file must be sound.
        Assert.All(WalInspector.Inspect(disk, TestLog.Directory).Findings, finding => Assert.Equal(TestLog.Directory, finding.File));
        Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
    }

    private static WalOptions RandomOptions(Random random)
        => new() { SegmentBytes = 4096 * random.Next(1, 9), RecycledSegmentsMax = random.Next(4) };
}
