using MetaStore.Engine.Snapshots;

namespace MetaStore.Engine.Tests;

/// <summary>When a snapshot is due.</summary>
public sealed class SnapshotPolicyTests
{
    /// <summary>However fast the log grows: a second writer would take the file of the first from under it.</summary>
    [Fact]
    public void OneSnapshotAtATime()
    {
        var policy = new SnapshotPolicy(new SnapshotOptions { EntriesMin = 10 }, lastSnapshotBytes: 0);
        Apply(policy, 9);
        Assert.False(policy.TryBegin());
        Apply(policy, 1);
        Assert.True(policy.TryBegin());

        Apply(policy, 10);
        Assert.False(policy.TryBegin());
        policy.Ended(bytes: 10);
        Assert.True(policy.TryBegin());
    }

    private static void Apply(SnapshotPolicy policy, int entries)
    {
        for (int i = 0; i < entries; i++)
        {
            policy.Applied(entryBytes: 1);
        }
    }
}
