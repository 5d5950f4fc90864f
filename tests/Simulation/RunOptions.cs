using System.Globalization;
using System.Reflection;

namespace MetaStore.Simulation;

/// <summary>
/// What one run is like. Drawn from the seed: each run switches on another part of the faults, with another strength, so that rare
/// combinations come up (swarm testing). Printed in full when a run fails.
/// </summary>
internal sealed record RunOptions
{
    public int Nodes { get; init; }

    public int Clients { get; init; }

    public int Keys { get; init; }

    public int Operations { get; init; }

    public double LossProbability { get; init; }

    public double DuplicateProbability { get; init; }

    public long DelayMax { get; init; }

    public bool Partitions { get; init; }

    public bool Pauses { get; init; }

    public bool Crashes { get; init; }

    public bool DiskErrors { get; init; }

    public bool BitRot { get; init; }

    /// <summary>Sectors of the log land on other sectors of it as well.</summary>
    public bool MisdirectedWrites { get; init; }

    /// <summary>Disks of nodes that are down are replaced by empty ones.</summary>
    public bool Reformats { get; init; }

    /// <summary>Disks take nothing for up to some election timeouts, and then go on.</summary>
    public bool DiskStalls { get; init; }

    /// <summary>Clocks jump forward.</summary>
    public bool ClockJumps { get; init; }

    public double ClockDriftMax { get; init; }

    /// <summary>Every clock is as wrong as it may be, one way or the other.</summary>
    public bool ClocksAtExtremes { get; init; }

    public long DiskDelayMax { get; init; }

    public long FaultIntervalMax { get; init; }

    public long SegmentBytes { get; init; }

    public long SnapshotEntries { get; init; }

    public int SnapshotEntriesKept { get; init; }

    public int ChunkBytes { get; init; }

    public int ValueBytesMax { get; init; }

    public int BatchOperations { get; init; }

    public double CompactProbability { get; init; }

    /// <summary>Think time of a client at most.</summary>
    public long ThinkMax { get; init; }

    /// <summary>Leaders are struck down soon after their election, voters after their vote.</summary>
    public bool LeaderHunt { get; init; }

    /// <summary>Bytes of entries in one Append; 1: each entry travels alone.</summary>
    public int AppendBytesMax { get; init; }

    /// <summary>
    /// Appends under way to one member. What arrives out of order is refused and sent again with all that follows, so with many one message long each
    /// a member that has far to go is sent everything some hundred times over.
    /// </summary>
    public int AppendsInFlight { get; init; } = 256;

    /// <summary>Whether the leader has a lease; with it, members that restart keep silence for a while, and elections are rarer.</summary>
    public bool Lease { get; init; }

    /// <summary>Members are added, removed and promoted, and the leader is moved, all the while.</summary>
    public bool MembershipChanges { get; init; }

    /// <summary>Revisions that the leader keeps when it compacts by itself; 0: it does not.</summary>
    public long RevisionsKept { get; init; }

    /// <summary>For how long it keeps them, likewise; 0: however long.</summary>
    public long AgeKept { get; init; }

    /// <summary>Whether the history is compacted up to the newest revision a client knows of, and often.</summary>
    public bool CompactToNewest { get; init; }

    /// <summary>Clients write in sessions and repeat what got no answer, at any node; the network repeats proposals, too.</summary>
    public bool Sessions { get; init; }

    /// <summary>Sessions that the store keeps; fewer than there are clients: some are forgotten while they are used.</summary>
    public int SessionsMax { get; init; }

    /// <summary>Clients that write in one session.</summary>
    public int SessionWriters { get; init; } = 1;

    /// <summary>Bytes of answers that the store keeps of one session.</summary>
    public int SessionKeptBytesMax { get; init; }

    /// <summary>Bytes of all sessions that the store keeps; so few that sessions are forgotten while they are used.</summary>
    public long SessionsKeptBytesMax { get; init; }

    /// <summary>
    /// Raft groups of the cluster. With more than one the nodes are hosts of many groups, of which the clients use a few at a time; their members
    /// do not change.
    /// </summary>
    public int Groups { get; init; } = 1;

    /// <summary>Bytes of the log kept for followers that are far behind, beyond the entries.</summary>
    public long CatchUpBytes { get; init; }

    /// <summary>Bytes of applied entries that a node holds in memory, about; beyond them followers need snapshots.</summary>
    public long LogBytesHeld { get; init; } = 32 << 20;

    /// <summary>Snapshots that a node sends at a time.</summary>
    public int SnapshotTransfers { get; init; }

    /// <summary>Bytes of snapshots that a node sends in a second; 0: any.</summary>
    public long SnapshotRate { get; init; }

    /// <summary>Members have priorities, and these change where members do: leadership is handed over of itself.</summary>
    public bool Priorities { get; init; }

    /// <summary>Some of the founders hold no data, and so do some of the members that are added.</summary>
    public bool Witnesses { get; init; }

    /// <summary>Clients that live by leases; 0: nobody uses any.</summary>
    public int LeaseClients { get; init; }

    /// <summary>Watches that go on through the whole run, whatever happens to the nodes they are on.</summary>
    public int Watchers { get; init; }

    /// <summary>Bytes of events that a node keeps for one of them; few, so that slow ones fall behind.</summary>
    public int WatchQueueBytes { get; init; } = 1 << 20;

    /// <summary>Bytes of a response, beyond which it may come in parts.</summary>
    public int WatchFragmentBytes { get; init; } = 1 << 20;

    /// <summary>Each life of each node has an election timeout of its own.</summary>
    public bool MixedTimeouts { get; init; }

    /// <summary>Share of the operations that are linearizable reads of one key, over those that come up anyway.</summary>
    public double ReadShare { get; init; }

    /// <summary>
    /// Short runs that are all about the leader's lease: reads, clocks at the ends of what they may be, leaders cut off and paused. What makes a run long and
    /// has no part in it (failing disks, snapshots) is rare or left out, so that many can be run.
    /// </summary>
    public static RunOptions DrawReads(ulong seed)
    {
        var random = new SimulationRandom(seed ^ 0x6EAD);

        // Answers that take most of the time in which the lease is good: what counts is when the question was sent.
        var delays = new SimulationRandom(seed ^ 0xDE1A);
        long slow = delays.Chance(0.3) ? delays.Between(60 * VirtualTime.Millisecond, 400 * VirtualTime.Millisecond) : 0;
        return Draw(seed) with
        {
            Nodes = random.Chance(0.9) ? 3 : 5,
            Clients = random.Next(3, 9),
            Keys = random.Next(1, 3),
            Operations = 200 + random.Next(200),
            ReadShare = random.NextDouble(),
            LossProbability = random.Chance(0.3) ? random.NextDouble() * 0.2 : 0,
            DelayMax = Math.Max(slow, random.Between(VirtualTime.Millisecond, 60 * VirtualTime.Millisecond)),
            Partitions = true,
            Pauses = random.Chance(0.5),
            Crashes = random.Chance(0.3),
            DiskErrors = false,
            BitRot = false,
            ClockDriftMax = 0.1,
            ClocksAtExtremes = random.Chance(0.8),
            DiskDelayMax = random.Between(VirtualTime.Millisecond, 20 * VirtualTime.Millisecond),
            FaultIntervalMax = random.Between(300 * VirtualTime.Millisecond, 1500 * VirtualTime.Millisecond),
            ThinkMax = random.Between(5 * VirtualTime.Millisecond, 100 * VirtualTime.Millisecond),
            MembershipChanges = random.Chance(0.15),
            LeaderHunt = random.Chance(0.1),
            Lease = true,
            Sessions = false,
            LeaseClients = 0,
            Watchers = 0,
            Groups = 1,
        };
    }

    public static RunOptions Draw(ulong seed)
    {
        var random = new SimulationRandom(seed ^ 0x5EED);
        var options = new RunOptions
        {
            Nodes = random.Chance(0.1) ? 1 : random.Chance(0.7) ? 3 : 5,
            Clients = random.Next(2, 9),
            Keys = random.Next(1, 9),
            Operations = 2000 + random.Next(1000),
            LossProbability = random.Chance(0.5) ? random.NextDouble() * 0.3 : 0,
            DuplicateProbability = random.Chance(0.5) ? random.NextDouble() * 0.5 : 0,
            DelayMax = random.Between(1 * VirtualTime.Millisecond, 300 * VirtualTime.Millisecond),
            Partitions = random.Chance(0.7),
            Pauses = random.Chance(0.4),
            Crashes = random.Chance(0.8),
            DiskErrors = random.Chance(0.3),
            BitRot = random.Chance(0.25),
            ClockDriftMax = random.Chance(0.5) ? 0.1 * random.NextDouble() : 0,
            DiskDelayMax = random.Between(VirtualTime.Millisecond, 200 * VirtualTime.Millisecond),
            FaultIntervalMax = random.Between(300 * VirtualTime.Millisecond, 5 * VirtualTime.Second),
            SegmentBytes = 4096L << random.Next(5),
            SnapshotEntries = random.Next(10, 300),
            SnapshotEntriesKept = random.Next(0, 50),
            ChunkBytes = random.Next(200, 20_000),
            ValueBytesMax = random.Chance(0.2) ? 2000 : 40,
            BatchOperations = random.Chance(0.3) ? 1 : random.Next(2, 20),
            CompactProbability = random.Chance(0.5) ? 0.02 * random.NextDouble() : 0,
            ThinkMax = random.Between(VirtualTime.Millisecond, 100 * VirtualTime.Millisecond),
            LeaderHunt = random.Chance(0.25),
            AppendBytesMax = random.Chance(0.5) ? 1 : 1 << 20,
        };
        bool compactToNewest = random.Chance(0.2);
        bool membershipChanges = random.Chance(0.4);
        var latest = new SimulationRandom(seed ^ 0xFACE); // Of its own, so that what was drawn before them stays what it was.
        bool witnesses = options.Nodes > 1 && latest.Chance(0.25);
        var inSessions = new SimulationRandom(seed ^ 0x5E55); // Likewise.
        int keptBytesMax = inSessions.Chance(0.3) ? inSessions.Next(300) : 1 << 20;
        options = options with
        {
            SessionWriters = inSessions.Next(1, 9),
            SessionKeptBytesMax = keptBytesMax,
            SessionsKeptBytesMax = keptBytesMax + (inSessions.Chance(0.3) ? inSessions.Next(4000) : 1 << 24),
            Witnesses = witnesses,
            Priorities = latest.Chance(0.3),
            CatchUpBytes = latest.Chance(0.5) ? 0 : 64 << 10,
            AppendsInFlight = 1 << latest.Next(1, options.AppendBytesMax == 1 ? 5 : 9),
            SnapshotTransfers = latest.Next(1, 3),
            SnapshotRate = latest.Chance(0.5) ? 0 : latest.Between(50_000, 1_000_000),
            MembershipChanges = membershipChanges,
            Lease = random.Chance(0.5),

            // Damage takes data away: with witnesses the one that is hit may be the only one to have the data of what a witness knows of.
            BitRot = options.BitRot && !witnesses,
            MisdirectedWrites = random.Chance(0.25) && !witnesses,
            Reformats = random.Chance(0.15) && !witnesses,
            DiskStalls = random.Chance(0.25),
            ClockJumps = random.Chance(0.25),
            CompactToNewest = compactToNewest,
            Sessions = random.Chance(0.4),
            SessionsMax = random.Chance(0.3) ? random.Next(1, 6) : 1000,
            CompactProbability = compactToNewest ? 0.2 * random.NextDouble() : options.CompactProbability,
            LeaseClients = latest.Chance(0.3) ? latest.Next(1, 6) : 0,
        };
        options = WithLaterDraws(options, seed);
        return latest.Chance(0.02) ? ManyGroups(options with { Groups = 16, Nodes = 3 }) : options;
    }

    /// <summary>Each from a source of its own, so that what was drawn before it came stays what it was.</summary>
    private static RunOptions WithLaterDraws(RunOptions options, ulong seed)
    {
        var autoCompaction = new SimulationRandom(seed ^ 0xC0DA);
        options = options with
        {
            RevisionsKept = autoCompaction.Chance(0.15) ? autoCompaction.Next(1, 200) : 0,
            AgeKept = autoCompaction.Chance(0.15) ? autoCompaction.Between(100 * VirtualTime.Millisecond, 10 * VirtualTime.Second) : 0,
        };
        var held = new SimulationRandom(seed ^ 0x4E1D);
        options = held.Chance(0.5) ? options with { LogBytesHeld = held.Between(200, 20_000) } : options;
        options = options with { MixedTimeouts = new SimulationRandom(seed ^ 0x7177).Chance(0.25) };
        return WithWatchers(options, new SimulationRandom(seed ^ 0xE7E5));
    }

    private static RunOptions WithWatchers(RunOptions options, SimulationRandom random) => !random.Chance(0.4)
        ? options
        : options with
        {
            Watchers = random.Next(1, 8),
            WatchQueueBytes = random.Chance(0.5) ? 1 << 20 : random.Next(300, 5000),
            WatchFragmentBytes = random.Chance(0.5) ? 1 << 20 : random.Next(200, 600),
        };

    /// <summary>
    /// Members change, and come with other directories, on nodes of one group only. A group with leases does not sleep, and one that compacts by age wakes for that.
    /// </summary>
    private static RunOptions ManyGroups(RunOptions options) =>
        options with { MembershipChanges = false, Reformats = false, LeaseClients = 0, AgeKept = 0 };

    /// <summary>What is wrong with a text for <see cref="Override"/>; null: nothing.</summary>
    public static string? ProblemOf(string text)
    {
        foreach (string[] pair in Pairs(text))
        {
            PropertyInfo? property = Properties().FirstOrDefault(p => p.Name == pair[0]);
            if (property is null || pair.Length != 2)
            {
                return $"\"{string.Join('=', pair)}\" is no option; they look like Nodes=3, and are {string.Join(", ", Properties().Select(p => p.Name))}";
            }

            try
            {
                Convert.ChangeType(pair[1], property.PropertyType, CultureInfo.InvariantCulture);
            }
            catch (FormatException)
            {
                return $"\"{pair[1]}\" is no value for {pair[0]}";
            }
        }

        return null;
    }

    /// <summary>With the values of a text as Name=value,Name=value, which has no problem.</summary>
    public RunOptions Override(string text)
    {
        RunOptions changed = this with { };
        foreach (string[] pair in Pairs(text))
        {
            PropertyInfo property = Properties().First(p => p.Name == pair[0]);
            property.SetValue(changed, Convert.ChangeType(pair[1], property.PropertyType, CultureInfo.InvariantCulture));
        }

        return changed.Groups > 1 ? ManyGroups(changed) : changed;
    }

    /// <summary>The text for <see cref="Override"/> that makes these options of the others.</summary>
    public string DifferencesFrom(RunOptions other) => string.Join(
        ',', Properties().Where(p => !Equals(p.GetValue(this), p.GetValue(other))).Select(Describe));

    public override string ToString() => string.Join(' ', Properties().Select(Describe));

    private static IEnumerable<string[]> Pairs(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(part => part.Split('='));

    private static IEnumerable<PropertyInfo> Properties() =>
        typeof(RunOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).Where(p => p.Name != "EqualityContract");

    private string Describe(PropertyInfo property) => string.Create(CultureInfo.InvariantCulture, $"{property.Name}={property.GetValue(this)}");
}
