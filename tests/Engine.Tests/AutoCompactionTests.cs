using System.Text;

namespace MetaStore.Engine.Tests;

/// <summary>A leader forgets history by itself: as much as it was told to, and no more.</summary>
public sealed class AutoCompactionTests
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(100);

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(500)]
    public void By_number_it_keeps_that_many_revisions_and_a_tenth_more_at_most(int kept)
    {
        using var node = new SteppedNode(autoCompaction: new AutoCompactionOptions { RevisionsKept = kept });
        for (int i = 0; i < 1000; i++)
        {
            Put(node, i);
            if (i % 20 == 19)
            {
                node.Pass(2 * s_step); // A tick that proposes it, and one for good measure.
                long uncompacted = node.Core.View.Revision - node.Core.View.CompactRevision;
                Assert.InRange(uncompacted, Math.Min(kept, i + 1), Math.Max(kept + Math.Max(1, kept / 10), 0));
            }
        }

        Assert.InRange(node.Core.View.CompactRevision, 1001 - kept - Math.Max(1, kept / 10), 1001 - kept);
    }

    [Fact]
    public void By_age_it_keeps_what_was_the_state_then_and_forgets_what_was_before()
    {
        using var node = new SteppedNode(autoCompaction: new AutoCompactionOptions { AgeKept = TimeSpan.FromSeconds(10) });
        var revisions = new List<long>();
        for (int second = 0; second < 60; second++)
        {
            Put(node, second);
            revisions.Add(node.Core.View.Revision);
            node.Pass(TimeSpan.FromSeconds(1));
            long compacted = node.Core.View.CompactRevision;

            // The state of ten seconds ago, and at most that of two notes before it.
            Assert.True(second < 10 || compacted <= revisions[second - 9], $"second {second}: {compacted} is compacted");
            Assert.True(second < 14 || compacted >= revisions[second - 13], $"second {second}: {compacted} is compacted");
            Assert.True(second >= 9 || compacted == 0);
        }
    }

    [Fact]
    public void Where_nobody_asked_for_it_nothing_is_forgotten()
    {
        using var node = new SteppedNode();
        for (int i = 0; i < 100; i++)
        {
            Put(node, i);
            node.Pass(TimeSpan.FromHours(1) / 100);
        }

        Assert.Equal(0, node.Core.View.CompactRevision);
    }

    private static void Put(SteppedNode node, int value) =>
        node.Wait(node.Core.PutAsync(new PutRequest { Key = "key"u8.ToArray(), Value = Encoding.UTF8.GetBytes($"{value}") }));
}
