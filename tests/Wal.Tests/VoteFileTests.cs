using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>The copies of term and vote outside the log: whatever becomes of the log, a vote that was told is known.</summary>
public sealed class VoteFileTests
{
    private const string Golden =
        "4d455441564f540a" + "01000000" + "dea87248" + "8877665544332211" + "0300000000000000" + "0300000000000000" + "02000000" + "00000000"
        + "01000000" + "00000000" + "0500000000000000" + "0200000000000000"
        + "07000000" + "00000000" + "0900000000000000" + "0000000000000000";

    [Fact]
    public void Golden_bytes()
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory(TestLog.Directory);
        VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
        Assert.False(votes.IsKnown);
        votes.Renew();
        Assert.True(votes.Note(7, new TermVote(9, 0)));
        votes.Save();
        Assert.True(votes.Note(1, new TermVote(5, 2)));
        votes.Save();
        foreach (string name in VoteFile.FileNames)
        {
            Assert.Equal(Golden, Convert.ToHexStringLower(disk.ReadAllBytes(Path.Combine(TestLog.Directory, name))));
        }
    }

    [Fact]
    public void One_copy_may_rot_whichever_and_wherever()
    {
        foreach (string name in VoteFile.FileNames)
        {
            for (int at = 0; at < Golden.Length / 2; at++)
            {
                FaultyDisk disk = Written();
                disk.FlipBit(Path.Combine(TestLog.Directory, name), at, bit: 4);

                VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);

                Assert.True(votes.IsKnown);
                Assert.Equal(new TermVote(5, 2), votes.Groups[1]);
                votes.Renew();
                disk.Delete(Path.Combine(TestLog.Directory, VoteFile.FileNames.Single(other => other != name)));
                Assert.Equal(new TermVote(5, 2), VoteFile.Read(disk, TestLog.Directory, TestLog.Identity).Groups[1]);
            }
        }
    }

    [Fact]
    public void Both_gone_is_said()
    {
        FaultyDisk disk = Written();
        foreach (string name in VoteFile.FileNames)
        {
            disk.FlipBit(Path.Combine(TestLog.Directory, name), 50, bit: 1);
        }

        Assert.False(VoteFile.Read(disk, TestLog.Directory, TestLog.Identity).IsKnown);
    }

    [Fact]
    public void Those_of_another_member_are_refused() =>
        Assert.Throws<WalIdentityException>(() => VoteFile.Read(Written(), TestLog.Directory, TestLog.Identity with { NodeId = 4 }));

    /// <summary>At any operation, and with what was torn by it lost in either copy, the last vote that was told is there.</summary>
    [Theory]
    [InlineData(CrashPolicy.LoseAll)]
    [InlineData(CrashPolicy.KeepRandom)]
    [InlineData(CrashPolicy.KeepPrefix)]
    public void A_crash_at_any_operation_forgets_no_vote_that_was_told(CrashPolicy policy)
    {
        for (long at = 1; ; at++)
        {
            // Of two sectors, so that it can be torn.
            FaultyDisk disk = Written(groups: 30);
            disk.ResetCounters();
            disk.Faults = new DiskFaults { PowerOffAtOperation = at, CrashLeavesPartialWrite = at % 2 == 0 };
            ulong told = 5;
            ulong tried = 5;
            try
            {
                VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
                votes.Renew();
                for (ulong term = 6; term < 9; term++)
                {
                    tried = term;
                    for (uint group = 1; group <= 30; group++)
                    {
                        votes.Note(group, new TermVote(term, 2));
                    }

                    votes.Save();
                    told = term;
                }

                Assert.InRange(at, 10, 100);
                return;
            }
            catch (SimulatedCrashException)
            {
                disk.Faults = new DiskFaults();
                disk.Crash(policy);
            }

            VoteFile found = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
            Assert.True(found.IsKnown);
            Assert.InRange(found.Groups[30].Term, told, tried);
            Assert.Single(found.Groups.Values.Distinct());
        }
    }

    [Fact]
    public void The_log_writes_them_before_a_vote_is_durable_and_not_otherwise()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        long before = disk.Syncs;
        log.Write([new LogWrite { GroupId = 1, WriteId = 1, HardState = new LogHardState(2, 3, 0) }]);
        Assert.Equal(before + 3, disk.Syncs);
        Assert.Equal(new TermVote(2, 3), VoteFile.Read(disk, TestLog.Directory, TestLog.Identity).Groups[1]);

        log.Write([new LogWrite { GroupId = 1, WriteId = 2, Entries = TestLog.Entries(1, 1, 1).Entries, HardState = new LogHardState(2, 3, 1) }]);
        Assert.Equal(before + 4, disk.Syncs);
    }

    [Fact]
    public void The_newer_of_log_and_copy_counts()
    {
        FaultyDisk disk = TestLog.Disk();
        using (WriteAheadLog log = TestLog.Open(disk, out _))
        {
            log.Write([new LogWrite { GroupId = 1, WriteId = 1, HardState = new LogHardState(2, 3, 0) }]);
        }

        VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
        votes.Note(1, new TermVote(4, 5));
        votes.Save();
        Assert.Equal(new LogHardState(4, 5, 0), Assert.Single(TestLog.Reopen(disk).Groups).HardState);

        // The log has taken it over: without the copies it says the same.
        foreach (string name in VoteFile.FileNames)
        {
            disk.Delete(Path.Combine(TestLog.Directory, name));
        }

        Assert.Equal(new LogHardState(4, 5, 0), Assert.Single(TestLog.Reopen(disk).Groups).HardState);
        Assert.True(VoteFile.Read(disk, TestLog.Directory, TestLog.Identity).IsKnown);
    }

    private static FaultyDisk Written(uint groups = 1)
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory(TestLog.Directory);
        VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
        votes.Renew();
        for (uint group = 1; group <= groups; group++)
        {
            votes.Note(group, new TermVote(5, 2));
        }

        votes.Note(7, new TermVote(5, 2));
        votes.Save();
        return disk;
    }
}
