using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>One node of 16 groups without peers, stepped on a memory disk: the log that they share.</summary>
public sealed class GroupHostTests
{
    private const int Groups = 16;

    private readonly SteppedNode.ManualTime _time = new();
    private readonly FaultyDisk _disk = new(new Random(1));

    [Fact]
    public void OneSync_ServesAllGroupsThatWait()
    {
        using GroupHost host = Open();
        Settle(host);
        long before = _disk.Operations;
        ValueTask<PutResponse> alone = Put(host, 1);
        Settle(host);
        long forOne = _disk.Operations - before;
        Assert.True(alone.IsCompletedSuccessfully);

        before = _disk.Operations;
        ValueTask<PutResponse>[] puts = [.. Enumerable.Range(1, Groups).Select(group => Put(host, group))];
        Settle(host);

        Assert.All(puts, put => Assert.True(put.IsCompletedSuccessfully));
        Assert.Equal(forOne, _disk.Operations - before);
        Assert.Equal(Enumerable.Range(1, Groups).Select(group => group == 1 ? 3L : 2L), puts.Select(put => put.Result.Header.Revision.Value));
    }

    [Fact]
    public void AFailedSync_FailsAllGroups()
    {
        using GroupHost host = Open();
        Settle(host);
        _disk.Faults = new DiskFaults { ErrorProbability = 1, FailingOperations = DiskOperation.Sync };
        ValueTask<PutResponse>[] lost = [.. Enumerable.Range(1, Groups).Select(group => Put(host, group))];
        Run(host);
        Run(host);

        foreach (ValueTask<PutResponse> put in lost)
        {
            MetaStoreException error = Assert.Throws<MetaStoreException>(() => put.GetAwaiter().GetResult());
            Assert.Equal((MetaStoreError.NodeFailed, Outcome.Unknown), (error.Error, error.Outcome));
        }

        Assert.Equal(0, host.OperationsRented);
        Assert.Throws<MetaStoreException>(() => { _ = Put(host, Groups); });
    }

    [Fact]
    public void AllGroups_ComeBackFromOneLog()
    {
        uint[] hashes;
        using (GroupHost host = Open())
        {
            Settle(host);
            for (int i = 0; i < 10; i++)
            {
                ValueTask<PutResponse>[] puts = [.. Enumerable.Range(1, Groups).Select(group => Put(host, group, value: (byte)((group * 16) + i)))];
                Settle(host);
                Assert.All(puts, put => Assert.True(put.IsCompletedSuccessfully));
            }

            hashes = Hashes(host);
            Assert.Equal(Groups, hashes.Distinct().Count());
        }

        _disk.Crash(CrashPolicy.LoseAll);
        using GroupHost again = Open();
        Settle(again);
        Assert.Equal(hashes, Hashes(again));
    }

    [Fact]
    public void AGroupThatTheNodeWasNotOpenedFor_IsRefused()
    {
        Open().Dispose();
        CorruptionException refused = Assert.Throws<CorruptionException>(() => Open(Groups - 1));
        Assert.Contains("the log holds group 16", refused.Message, StringComparison.Ordinal);
        using GroupHost more = Open(Groups + 1);
        Settle(more);
        ValueTask<PutResponse> put = Put(more, Groups + 1);
        Settle(more);
        Assert.True(put.IsCompletedSuccessfully);
    }

    [Fact]
    public void AnIdleNode_HasNothingToDoButItsPulse_AndAPutWakesItsGroup()
    {
        using GroupHost host = Open();
        Settle(host);
        for (int i = 0; i < 100 && host.Asleep < Groups; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            Settle(host);
        }

        Assert.Equal(Groups, host.Asleep);
        Assert.Equal([long.MaxValue, long.MaxValue, long.MaxValue, long.MaxValue], host.Loops.Skip(1).Select(loop => loop.NextWake));
        Assert.All(host.Groups, group => Assert.Equal(long.MaxValue, group.Node.NextWake));

        ValueTask<PutResponse> put = Put(host, 9);
        Settle(host);

        Assert.True(put.IsCompletedSuccessfully);
        Assert.Equal(Groups - 1, host.Asleep);
    }

    /// <summary>The entries of an earlier life take long to apply, and a lease is among them: a group that sleeps meanwhile would never end it.</summary>
    [Fact]
    public void AGroupSleepsNotBeforeItHasAppliedAll_AndItsLeasesEnd()
    {
        using (GroupHost host = Open())
        {
            Settle(host);
            ValueTask<LeaseGrantResponse> grant = host[new GroupId(9)].GrantLeaseAsync(new LeaseGrantRequest(2));
            Settle(host);
            Assert.True(grant.IsCompletedSuccessfully);
        }

        using GroupHost again = Open();
        for (int i = 0; i < 200; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            while (Run(again, except: "apply"))
            {
            }
        }

        Assert.All(again.Groups, group => Assert.Equal(Raft.Role.Leader, group.Node.Raft.Role));
        Assert.All(again.Groups, group => Assert.False(group.Node.IsAsleep));
        for (int i = 0; i < 200 && !again.Groups.All(group => group.Node.IsAsleep); i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            Settle(again);
        }

        Assert.All(again.Groups, group => Assert.True(group.Node.IsAsleep));
        Assert.Empty(again[new GroupId(9)].View.Leases.Ids);
    }

    /// <summary>One entry of a group that is never used again would keep the log of all the others for ever.</summary>
    [Fact]
    public async Task AnIdleGroup_DoesNotKeepTheLogOfABusyOne()
    {
        using GroupHost host = Open();
        Settle(host);
        ValueTask<PutResponse> idle = Put(host, 9);
        Settle(host);
        Assert.True(idle.IsCompletedSuccessfully);
        long segments = 0;
        for (int i = 0; i < 4000; i++)
        {
            ValueTask<PutResponse> put = host[new GroupId(1)].PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = new byte[1000] });
            Settle(host);
            Assert.True(put.IsCompletedSuccessfully);
            PutResponse written = await put;
            segments = Math.Max(segments, _disk.ListFiles("/data/wal").Count());
            if (i % 500 == 499)
            {
                ValueTask<CompactResponse> compact = host[new GroupId(1)].CompactAsync(new CompactRequest(written.Header.Revision));
                Settle(host);
                Assert.True(compact.IsCompletedSuccessfully);
            }
        }

        // 4 MB were written, and 16 groups may need 64 KiB each, and the last snapshot of the busy one.
        Assert.InRange(segments, 10, 45);
        Assert.Contains(_disk.ListFiles("/data/snap"), name => name.StartsWith("00000009-", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData()]
    [InlineData(0u)]
    [InlineData(1u, 1u)]
    public void GroupsThatCannotBe_AreRefused(params uint[] groups) =>
        Assert.Throws<ArgumentException>(() => new GroupHost(Settings(), Seams(), [.. groups.Select(group => new GroupId(group))]));

    private static ValueTask<PutResponse> Put(GroupHost host, int group, byte value = 1) =>
        host[new GroupId((uint)group)].PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = new[] { value } });

    private static uint[] Hashes(GroupHost host) => [.. host.Groups.Select(group => group.HashAsync(new HashRequest(Revision.Current)).Result.Hash)];

    private static bool Run(GroupHost host, string? except = null)
    {
        bool worked = false;
        foreach (ILoop loop in host.Loops.Where(loop => loop.Name != except))
        {
            worked |= loop.RunOnce();
        }

        return worked;
    }

    /// <summary>Steps until nothing is left to do, through the election of each group.</summary>
    private void Settle(GroupHost host)
    {
        for (int i = 0; i < 100; i++)
        {
            while (Run(host))
            {
            }

            Assert.Null(host.Failure.Cause);
            if (host.Groups.All(group => !group.Node.Status.Leader.IsNone))
            {
                return;
            }

            _time.Advance(TimeSpan.FromMilliseconds(100));
        }

        Assert.Fail("each group leads itself");
    }

    private GroupHost Open(int groups = Groups) => new(Settings(), Seams(), [.. Enumerable.Range(1, groups).Select(group => new GroupId((uint)group))]);

    private static NodeSettings Settings() => new()
    {
        Name = "n1",
        ClusterId = 7,
        NodeId = new NodeId(1),
        Members = [new Member(1, "n1", [], [])],
        DataDirectory = "/data",
        Seed = 1,
        Snapshots = new SnapshotOptions { LogBytesMin = 64 << 10, EntriesKept = 0 },
        Wal = new WalOptions { SegmentBytes = 64 << 10 },
    };

    private NodeSeams Seams() => new()
    {
        Disk = _disk,
        Transport = new Nowhere(),
        Time = _time,
        Signals = _ => new NoSignal(),
        Parts = new InlineForkJoin(2),
        RunContinuationsAsynchronously = false,
    };

    private sealed class NoSignal : ILoopSignal
    {
        public void Set()
        {
            // The test steps all loops, again and again.
        }
    }

    private sealed class Nowhere : IPeerTransport
    {
        public void Send(GroupId group, Message message) => throw new InvalidOperationException("a single node has no peers");

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
        {
            // Nobody else is there.
        }
    }
}
