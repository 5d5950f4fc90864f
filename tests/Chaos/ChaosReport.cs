using System.Diagnostics;
using System.Globalization;

namespace MetaStore.Chaos;

/// <summary>What a run has done and found, and what it says meanwhile.</summary>
internal sealed class ChaosReport(TextWriter output)
{
    private readonly long _start = Stopwatch.GetTimestamp();

    public int Kills { get; private set; }

    public int Pauses { get; private set; }

    public int Partitions { get; private set; }

    public long Operations { get; set; }

    /// <summary>Acknowledged changes that the store does not show.</summary>
    public int Lost { get; set; }

    /// <summary>Rounds whose history no linearizable store could have given.</summary>
    public int Violations { get; set; }

    public bool AreHashesEqual { get; set; } = true;

    /// <summary>From the beginning of each fault that came alone and stopped the leader to the first answer to a write that was begun after it.</summary>
    public List<TimeSpan> LeaderBack { get; } = [];

    public bool IsRight => Lost == 0 && Violations == 0 && AreHashesEqual && Operations > 0;

    public void Count(Fault fault)
    {
        Kills += fault is Kill ? 1 : 0;
        Pauses += fault is Pause ? 1 : 0;
        Partitions += fault is Partition ? 1 : 0;
    }

    public void Note(string line) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(_start).TotalSeconds,8:F1} s {line}"));

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"kills={Kills} pauses={Pauses} partitions={Partitions} operations={Operations} lost={Lost} violations={Violations} hashes={(AreHashesEqual ? "equal" : "different")} leader_back_p99_ms={Percentile(0.99).TotalMilliseconds:F0}");

    /// <summary>By nearest rank: one that was measured.</summary>
    public TimeSpan Percentile(double part) =>
        LeaderBack.Count == 0 ? TimeSpan.Zero : LeaderBack.Order().ElementAt((int)Math.Ceiling(part * LeaderBack.Count) - 1);
}
