namespace MetaStore.Raft;

/// <summary>
/// What priorities do: they say who stands first, and to whom a leader hands over. A preference among those who may lead anyhow, so that
/// nothing about safety hangs on it, and bounded, so that nothing about liveness does: a member that alone has the newest log stands after
/// a while whatever its priority.
/// </summary>
internal static class Precedence
{
    /// <summary>Election timeouts that a member waits longer than those before it, at most.</summary>
    private const int RanksMax = 2;

    /// <summary>
    /// Ticks that a member waits for those of higher priority, beyond its own election timeout: one timeout for the second rank, so that the
    /// first has had its whole time before; two for all ranks below it, and for priority 0.
    /// </summary>
    public static int ExtraTicks(Membership membership, NodeId self, int electionTicks)
    {
        if (membership.Traits.Count == 0)
        {
            return 0; // All are equal; asked with each tick.
        }

        byte own = membership.TraitsOf(self).Priority;
        int ranksAbove = membership.Voters.Select(membership.TraitsOf)
            .Where(traits => !traits.IsWitness && traits.Priority > own).Select(traits => traits.Priority).Distinct().Count();
        return ranksAbove == 0 ? 0 : electionTicks * (own == 0 ? RanksMax : Math.Min(ranksAbove, RanksMax));
    }

    /// <summary>Whether <paramref name="voter"/> is to lead rather than <paramref name="leader"/>.</summary>
    public static bool IsBefore(Membership membership, NodeId voter, NodeId leader) =>
        !membership.IsWitness(voter) && membership.TraitsOf(voter).Priority > membership.TraitsOf(leader).Priority;
}
