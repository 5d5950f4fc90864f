using MetaStore.Fuzz.Running;
using MetaStore.Testing;
using MetaStore.Wal;
using MetaStore.Wal.Tests;

namespace MetaStore.Fuzz.Targets;

/// <summary>A log on a disk in memory, and what it held after each of its writes.</summary>
/// <param name="Disk">As it is after a clean stop, or a kill.</param>
/// <param name="Prefixes">What would be recovered if the log ended behind the first 0, 1, … writes.</param>
internal sealed record LogImage(FaultyDisk Disk, IReadOnlyList<string> Prefixes);

/// <summary>Makes such logs: the same from the same number.</summary>
internal static class LogImages
{
    private const int Groups = 2;

    private static readonly Dictionary<byte, LogImage> s_made = [];

    /// <summary>The number's bits: 1 a clean stop, 2 larger entries, the others choose among the writes that there are.</summary>
    public static LogImage Make(byte number)
    {
        if (!s_made.TryGetValue(number, out LogImage? image))
        {
            s_made[number] = image = MakeNew(number);
        }

        return image;
    }

    /// <summary>Everything that a start brings back, as text.</summary>
    public static string Describe(WalRecovery recovery) => LogModel.Describe(recovery);

    private static LogImage MakeNew(byte number)
    {
        var random = new Random(number >> 2);
        var disk = new FaultyDisk(new Random(1));
        var model = new LogModel();
        List<LogModel> after = [model.Clone()];
        var writes = new WriteGenerator(random, Groups, entryBytesMax: (number & 2) != 0 ? 600 : 40);
        WriteAheadLog log = WriteAheadLog.Open(disk, TestLog.Directory, TestLog.Identity, TestLog.Small, out _);
        int count = 2 + random.Next(10);
        for (int i = 0; i < count; i++)
        {
            LogWrite write = writes.Next(model);
            log.Write([write]);
            model.Apply(write);
            after.Add(model.Clone());
        }

        if ((number & 1) != 0)
        {
            log.Dispose();
        }

        disk.Crash(CrashPolicy.ProcessKill);

        return new LogImage(disk, [.. after.Select(prefix => prefix.WithVotesOf(model).ToString())]);
    }
}

/// <summary>Opens logs that may be damaged, and holds the inspection against it.</summary>
internal static class LogOpening
{
    /// <summary>What was recovered; null, with the refusal, where the log was refused by name.</summary>
    public static (string? Recovered, bool WasCut, string Refusal) Try(FaultyDisk disk)
    {
        // That there are no snapshots, which the log's marks speak of, is a finding about the directory.
        bool isSound = !WalInspector.Inspect(disk, TestLog.Directory).Findings.Any(finding => finding.IsDamage && finding.File != TestLog.Directory);
        try
        {
            WalRecovery recovery;
            using (WriteAheadLog.Open(disk, TestLog.Directory, TestLog.Identity, TestLog.Small, out recovery))
            {
                // Opened, and stopped again.
            }

            FuzzFailure.Unless(isSound, "a log is opened that the inspection calls damaged");
            return (LogImages.Describe(recovery), recovery.Cut is not null, string.Empty);
        }
        catch (Exception e) when (e is CorruptionException or WalIdentityException or WalVersionException)
        {
            FuzzFailure.Unless(!isSound || e is WalIdentityException, $"a log is refused that the inspection calls sound: {e.Message}");
            return (null, false, Shape.Of(e));
        }
    }
}
