using MetaStore.Engine.Hosting;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>What a start makes of a repaired directory, and of one that holds what it should not.</summary>
public sealed class RecoveringMemberTests
{
    private const string Directory = "/data";
    private static readonly GroupId s_group = new(1);
    private static readonly WalOptions s_small = new() { SegmentBytes = 8192 };

    [Fact]
    public void ADirectoryWithoutALog_IsRefused_AndTakenUpOnceItIsRepaired_InItsTermAndWithItsVote()
    {
        FaultyDisk disk = Founded(members: 3);
        foreach (string file in disk.ListFiles("/data/wal"))
        {
            disk.Delete($"/data/wal/{file}");
        }

        Assert.Throws<CorruptionException>(() => NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One));
        string refused = Assert.Throws<RepairRefusedException>(() => MemberRepair.Examine(disk, Directory, isDiverged: false)).Message;
        Assert.Contains("--has-peers", refused, StringComparison.Ordinal); // For all that it can tell, there is nobody else.
        MemberRepair.Examine(disk, Directory, isDiverged: false, hasPeers: true).Execute(s_small);

        using NodeStorage storage = NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One);
        Assert.True(storage.IsRecovering);
        Assert.False(storage.IsNew);
        RaftRestart restart = storage.Groups[0].Restart!;
        Assert.Equal((new Term(7), new NodeId(2)), (restart.HardState.Term, restart.HardState.Vote));

        // The one entry that is known without a log: the founders' membership, so that it knows whom to reach.
        Assert.Equal(EntryKind.Membership, Assert.Single(restart.Entries).Kind);
    }

    [Fact]
    public void AMemberStaysRecovering_ThroughRestarts_UntilItHasCaughtUp()
    {
        FaultyDisk disk = Founded(members: 3);
        MemberRepair.Examine(disk, Directory, isDiverged: true).Execute(s_small);
        for (int start = 0; start < 3; start++)
        {
            using NodeStorage storage = NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One);
            Assert.True(storage.IsRecovering);
            Assert.Equal(new Term(7), storage.Groups[0].Restart!.HardState.Term);
        }

        using (NodeStorage storage = NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One))
        {
            storage.Log.Write([new LogWrite { GroupId = s_group.Value, WriteId = 1, EndsRecovery = true }]);
        }

        disk.Crash(CrashPolicy.LoseAll);
        using NodeStorage sound = NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One);
        Assert.False(sound.IsRecovering);
    }

    [Fact]
    public void ANodeOfManyGroups_IsRecovering_UntilTheLastOfThemHasCaughtUp()
    {
        FaultyDisk disk = Founded(members: 3);
        GroupId[] groups = [s_group, new GroupId(s_group.Value + 1)];
        MemberRepair.Examine(disk, Directory, isDiverged: true).Execute(s_small);
        using (NodeStorage storage = NodeStorage.Open(disk, Settings(3), groups, InlineForkJoin.One))
        {
            storage.Log.Write([new LogWrite { GroupId = groups[0].Value, WriteId = 1, EndsRecovery = true }]);
        }

        using (NodeStorage storage = NodeStorage.Open(disk, Settings(3), groups, InlineForkJoin.One))
        {
            Assert.True(storage.IsRecovering);
            storage.Log.Write([new LogWrite { GroupId = groups[0].Value, WriteId = 1, EndsRecovery = true }]);
            storage.Log.Write([new LogWrite { GroupId = groups[1].Value, WriteId = 1, EndsRecovery = true }]);
        }

        using NodeStorage sound = NodeStorage.Open(disk, Settings(3), groups, InlineForkJoin.One);
        Assert.False(sound.IsRecovering);
    }

    [Fact]
    public void ALoneVoter_IsNotRepaired_AndWouldNotStart()
    {
        FaultyDisk disk = Founded(members: 1);
        Assert.Contains("only voter", Assert.Throws<RepairRefusedException>(() => MemberRepair.Examine(disk, Directory, isDiverged: true)).Message);

        // Where the repair could not tell who belongs to the cluster, the start does, and writes nothing.
        var repair = DirectoryRepair.Examine(disk, Directory, isDiverged: true);
        repair.Execute(s_small);
        Assert.Contains("only one of its cluster", Assert.Throws<CorruptionException>(() => NodeStorage.Open(disk, Settings(1), [s_group], InlineForkJoin.One)).Message);
        Assert.Empty(disk.ListFiles("/data/wal"));

        // So what was moved aside can be put back.
        foreach (string name in repair.Moved)
        {
            disk.Rename($"{repair.Aside}/{name}", $"/data/wal/{name}");
        }

        Assert.True(MemberRepair.TryRelease(MemberRepair.Examine(disk, Directory, isDiverged: false)));
        using NodeStorage storage = NodeStorage.Open(disk, Settings(1), [s_group], InlineForkJoin.One);
        Assert.False(storage.IsRecovering);
        Assert.Equal(new Term(7), storage.Groups[0].Restart!.HardState.Term);
    }

    /// <summary>What is left of its log says that it is alone; its operator says that it is not.</summary>
    [Fact]
    public void AFounderWhoseKeptLogEndsBeforeItsClusterGrew_StartsAsOneOfAnExistingCluster_AndForgetsNoContacts()
    {
        const string Segment = "/data/wal/0000000000000001.wal";
        FaultyDisk disk = Founded(members: 1);
        byte[] before = disk.ReadAllBytes(Segment);
        using (NodeStorage storage = NodeStorage.Open(disk, Settings(1), [s_group], InlineForkJoin.One))
        {
            foreach (ulong index in new ulong[] { 2, 3 })
            {
                storage.Log.Write([new LogWrite { GroupId = s_group.Value, WriteId = index, Entries = [new LogEntry(index, 7, (byte)EntryKind.Command, new byte[9])] }]);
            }
        }

        int second = disk.ReadAllBytes(Segment).AsSpan().CommonPrefixLength(before);
        disk.FlipBit(Segment, second + 8, 0);
        Assert.Contains("--has-peers", Assert.Throws<RepairRefusedException>(() => MemberRepair.Examine(disk, Directory, isDiverged: false)).Message);
        MemberRepair.Examine(disk, Directory, isDiverged: false, hasPeers: true).Execute(s_small);

        string refused = Assert.Throws<CorruptionException>(() => NodeStorage.Open(disk, Settings(1), [s_group], InlineForkJoin.One)).Message;
        Assert.Contains("the only voter", refused, StringComparison.Ordinal);
        Assert.Contains("--initial-cluster-state existing", refused, StringComparison.Ordinal);

        var transport = new Contacts();
        using var node = new NodeCore(Settings(0), new NodeSeams
        {
            Disk = disk,
            Transport = transport,
            Time = TimeProvider.System,
            Signals = _ => transport,
            RunContinuationsAsynchronously = false,
        });
        Assert.True(node.StartedRecovering);
        Assert.Equal([new NodeId(1)], node.Node.Raft.Membership.Voters);
        while (node.Loops.Select(loop => loop.RunOnce()).ToArray().Contains(true))
        {
            Assert.Null(node.Failure.Cause);
        }

        Assert.Equal(0, transport.Told);
    }

    [Fact]
    public void AMemberWithPeers_StaysRecovering_ThoughItsDirectoryIsWhole()
    {
        FaultyDisk disk = Founded(members: 3);
        MemberRepair.Examine(disk, Directory, isDiverged: true).Execute(s_small);
        NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One).Dispose();
        Assert.False(MemberRepair.TryRelease(MemberRepair.Examine(disk, Directory, isDiverged: false)));
        using NodeStorage storage = NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One);
        Assert.True(storage.IsRecovering);
    }

    /// <summary>The copy is written before the log: a founder that was cut off in between is as new as before.</summary>
    [Fact]
    public void AFirstStartThatIsCutShortAnywhere_IsAFirstStartAgain()
    {
        for (long at = 1; ; at++)
        {
            var disk = new FaultyDisk(new Random((int)at)) { Faults = new DiskFaults { PowerOffAtOperation = at } };
            try
            {
                NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One).Dispose();
                Assert.InRange(at, 15, 100);
                return;
            }
            catch (SimulatedCrashException)
            {
                disk.Faults = new DiskFaults();
                disk.Crash(CrashPolicy.KeepRandom);
            }

            using NodeStorage storage = NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One);
            Assert.False(storage.IsRecovering);
            Assert.Equal(EntryKind.Membership, Assert.Single(storage.Groups[0].Restart!.Entries).Kind);
        }
    }

    /// <summary>Its checksums are right; what is in it is not what this program writes.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ASnapshotThatMakesNoSense_IsNamedByItsPath(bool isMembershipSound)
    {
        FaultyDisk disk = Founded(members: 3);
        var snapshots = new SnapshotStore(disk, Directory, new WalIdentity(5, 1));
        byte[] membership = MembershipCodec.Encode(Members.MemberTable.Bootstrap(Settings(3).Members));
        var info = new SnapshotInfo(1, 1, isMembershipSound ? membership : membership[..^1]);
        using (SnapshotWriter writer = snapshots.Create(s_group.Value, info))
        {
            writer.Write("nonsense"u8);
            writer.Complete();
        }

        CorruptionException refused = Assert.Throws<CorruptionException>(() => NodeStorage.Open(disk, Settings(3), [s_group], InlineForkJoin.One));
        Assert.Contains(snapshots.PathOf(s_group.Value, info), refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Counts how often it was told who the members are.</summary>
    private sealed class Contacts : IPeerTransport, ILoopSignal
    {
        public int Told { get; private set; }

        public void Send(GroupId group, Message message) => Assert.Fail($"it has nobody to send a {message.Kind} to");

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed) => Told++;

        public void Set()
        {
            // The test steps the loops.
        }
    }

    /// <summary>The directory of a founder that has voted for member 2 in term 7.</summary>
    private static FaultyDisk Founded(int members)
    {
        var disk = new FaultyDisk(new Random(1));
        using NodeStorage storage = NodeStorage.Open(disk, Settings(members), [s_group], InlineForkJoin.One);
        storage.Log.Write([new LogWrite { GroupId = s_group.Value, WriteId = 1, HardState = new LogHardState(7, 2, 1) }]);
        return disk;
    }

    private static NodeSettings Settings(int members) => new()
    {
        Name = "n1",
        ClusterId = 5,
        NodeId = new NodeId(1),
        Members = [.. Enumerable.Range(1, members).Select(id => new Member((ulong)id, $"n{id}", [$"http://n{id}:2380"], []))],
        DataDirectory = Directory,
        Wal = s_small,
        Seed = 3,
    };
}
