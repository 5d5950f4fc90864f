using Xunit;

namespace MetaStore.Wal.Tests;

public sealed class RecoveryCasesTests
{
    [Fact]
    public void Every_combination_of_facts_matches_exactly_one_row()
    {
        for (int bits = 0; bits < 1 << 7; bits++)
        {
            RecoveryFacts facts = FactsOf(bits);
            RecoveryCase[] matching = [.. RecoveryCases.All.Where(row => row.Matches(facts))];
            Assert.True(matching.Length == 1, $"{facts}: rows {string.Join(',', matching.Select(row => row.Letter))}");
            Assert.Same(matching[0], RecoveryCases.Decide(facts));
        }
    }

    [Fact]
    public void Only_an_undoubted_tail_of_the_last_segment_is_ever_cut()
    {
        for (int bits = 0; bits < 1 << 7; bits++)
        {
            RecoveryFacts facts = FactsOf(bits);
            if (RecoveryCases.Decide(facts).Action == RecoveryAction.Cut)
            {
                Assert.True(facts is { IsLast: true, Opened: true, Closed: false, LaterBatch: false, WrittenWhole: false });
            }
        }
    }

    [Fact]
    public void Letters_are_distinct() => Assert.Equal(RecoveryCases.All.Count, RecoveryCases.All.Select(row => row.Letter).Distinct().Count());

    private static RecoveryFacts FactsOf(int bits)
        => new((bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0, (bits & 32) != 0, (bits & 64) != 0);
}
