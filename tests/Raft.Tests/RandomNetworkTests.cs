using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>Whole clusters under random faults, thousands of steps each. A failure names the seed that repeats it.</summary>
public sealed class RandomNetworkTests
{
    [Theory]
    [InlineData(1, 30, 2500, false)]
    [InlineData(2, 30, 3000, false)]
    [InlineData(3, 250, 5000, false)]
    [InlineData(5, 100, 6000, false)]
    [InlineData(3, 300, 3000, true)]
    [InlineData(5, 300, 4000, true)]
    public void ACluster_UnderFaults_StaysSafe_AndAgreesOnceTheyEnd(int size, int seeds, int steps, bool storm)
    {
        int commits = 0;
        int reads = 0;
        int faults = 0;
        for (int seed = 1; seed <= seeds; seed++)
        {
            var network = new RandomNetwork(seed, size, storm);
            try
            {
                network.Run(steps);
                network.Heal();
                AssertAtRest(network);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"{size} members, seed {seed}: {failure.Message}", failure);
            }

            commits += (int)network.Checker.Commit.Value;
            reads += network.Checker.ReadsAnswered;
            faults += network.FaultCount;
        }

        // Runs in which nothing happens would pass too.
        Assert.True(commits > seeds * (storm ? 5 : 20), $"only {commits} entries committed");
        Assert.True(reads > seeds * (storm ? 1 : 5), $"only {reads} reads answered");
        Assert.True(faults > (size == 1 ? 0 : seeds * 20), $"only {faults} faults");
    }

    /// <summary>
    /// Groups that fall asleep whenever nobody asks for anything, and sleepers that are woken at random, with whatever they are told of their
    /// leader. Once the faults end nobody wakes them: they must agree by themselves.
    /// </summary>
    [Theory]
    [InlineData(1, 30, 6000)]
    [InlineData(3, 150, 10000)]
    [InlineData(5, 60, 16000)]
    public void AClusterThatSleeps_StaysSafe_AndAgreesOnceTheFaultsEnd(int size, int seeds, int steps)
    {
        int sleeps = 0;
        for (int seed = 1; seed <= seeds; seed++)
        {
            var network = new RandomNetwork(seed, size, sleeps: true);
            try
            {
                network.Run(steps);
                sleeps += network.Sleeps;
                network.Heal();
                AssertAtRest(network);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"{size} members, seed {seed}: {failure.Message}", failure);
            }
        }

        Assert.True(sleeps > seeds / 2, $"only {sleeps} sleeps under faults");
    }

    /// <summary>Joint consensus against every configuration that chance brings, with crashes, partitions and snapshots in between.</summary>
    [Theory]
    [InlineData(3, 200, 4000, false)]
    [InlineData(5, 150, 6000, false)]
    [InlineData(5, 200, 4000, true)]
    [InlineData(3, 200, 4000, false, 1)]
    [InlineData(5, 100, 6000, false, 2)]
    [InlineData(5, 150, 4000, true, 3)]
    public void AClusterWhoseMembersChange_StaysSafe_AndAgreesOnceTheFaultsEnd(int size, int seeds, int steps, bool storm, int witnesses = 0)
    {
        int commits = 0;
        int changes = 0;
        for (int seed = 1; seed <= seeds; seed++)
        {
            var network = new RandomNetwork(seed, size, storm, membershipChanges: true, witnesses);
            try
            {
                network.Run(steps);
                network.Heal();
                AssertAtRest(network);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"{size} members ({witnesses} witnesses), seed {seed}: {failure.Message}", failure);
            }

            commits += (int)network.Checker.Commit.Value;
            changes += network.MembershipChanges;
        }

        Assert.True(commits > seeds * 5, $"only {commits} entries committed");
        Assert.True(changes > seeds / (storm ? 4 : 2), $"only {changes} changes of the membership");
    }

    /// <summary>Members lose parts of what they acknowledged, are repaired and catch up, while everything else goes wrong as well.</summary>
    [Theory]
    [InlineData(3, 250, 5000, false)]
    [InlineData(5, 100, 6000, false)]
    [InlineData(3, 300, 3000, true)]
    [InlineData(5, 150, 4000, true)]
    public void AClusterWhoseDisksAreDamaged_StaysSafe_AndAgreesOnceTheFaultsEnd(int size, int seeds, int steps, bool storm)
    {
        int commits = 0;
        int damages = 0;
        for (int seed = 1; seed <= seeds; seed++)
        {
            var network = new RandomNetwork(seed, size, storm, damage: true);
            try
            {
                network.Run(steps);
                network.Heal();
                AssertAtRest(network);
                Assert.DoesNotContain(network.Members, member => member.Node.IsRecovering);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"{size} members, seed {seed}: {failure.Message}", failure);
            }

            commits += (int)network.Checker.Commit.Value;
            damages += network.Damages;
        }

        Assert.True(commits > seeds * 5, $"only {commits} entries committed");
        Assert.True(damages > seeds, $"only {damages} times was a disk damaged");
    }

    /// <summary>Reads that a leader answers by its lease, and the lease itself, against crashes, partitions, hand-overs, every membership, and members that differ in patience.</summary>
    [Theory]
    [InlineData(3, 250, 10_000, false, false)]
    [InlineData(5, 40, 15_000, false, false)]
    [InlineData(3, 200, 10_000, true, false)]
    [InlineData(3, 150, 10_000, false, true)]
    [InlineData(5, 40, 15_000, false, true)]
    [InlineData(5, 60, 10_000, true, true)]
    [InlineData(3, 150, 15_000, false, false, true)]
    public void LeadersWithLeases_StaySafe_AndAgreeOnceTheFaultsEnd(int size, int seeds, int steps, bool storm, bool membershipChanges, bool sleeps = false)
    {
        int reads = 0;
        int contested = 0;
        for (int seed = 1; seed <= seeds; seed++)
        {
            var network = new RandomNetwork(seed, size, storm, membershipChanges, sleeps: sleeps, leases: true);
            try
            {
                network.Run(steps);
                reads += network.Checker.ReadsAnswered;
                contested += network.Checker.LeasesContested;
                network.Heal();
                AssertAtRest(network);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"{size} members, seed {seed}: {failure.Message}", failure);
            }
        }

        Assert.True(reads > seeds, $"only {reads} reads answered");
        Assert.True(contested > seeds, $"only {contested} times did anybody stand beside a leader with a lease");
    }

    [Fact]
    public void TheSameSeed_GivesTheSameRun()
    {
        static string Trace(int seed)
        {
            var network = new RandomNetwork(seed, 3);
            network.Run(4000);
            return string.Join('|', network.Members.Select(member =>
                member.IsUp ? $"{member.Node.Term} {member.Node.Role} {member.Node.CommitIndex} {member.Node.LastIndex} {member.Machine.Digest:x}" : "down"));
        }

        Assert.Equal(Trace(7), Trace(7));
        Assert.NotEqual(Trace(7), Trace(8));
    }

    private static void AssertAtRest(RandomNetwork network)
    {
        // Nothing was left hanging by the faults, and the cluster still works.
        LogIndex before = network.Checker.Commit;
        network.ProposeToLeader();
        network.Drain();
        Assert.Equal(before.Next, network.Checker.Commit);
        foreach (Member member in network.Current)
        {
            ClusterChecker.CheckDisk(member);
            Assert.Equal(0, member.Node.UncommittedBytes);
            Assert.Equal(0, member.Node.PendingReads);
            Assert.Equal(before.Next, member.Node.CommitIndex);
            foreach (Progress peer in member.Node.Peers)
            {
                Assert.Equal(0, peer.Inflights.Count);
                Assert.Equal(0, peer.Inflights.Bytes);
                Assert.Equal(ProgressState.Replicate, peer.State);
                Assert.Equal(before.Next, peer.Match);
            }
        }
    }
}
