namespace MetaStore.Raft;

/// <summary>
/// What a witness is sent: positions, terms and kinds of the entries, memberships whole, and nothing else; and no entry before enough voters that
/// hold its data have it on stable storage.
/// <para>
/// <b>At least one.</b> A witness refuses its vote to whoever lacks what it holds, and cannot lead itself. Were it the only one to hold an
/// entry (the leader died before its own disk was done), nobody could be elected any more. As it is, whatever a witness holds was on the disk of a
/// voter that may lead, and can have gone from there only for entries of a later term, which outrank it.
/// </para>
/// <para>
/// <b>As many as a majority, or all that keep up.</b> So a witness stands in for members that are missing and never for one that is there: as
/// long as the voters with data do their work, an entry is committed by their copies, and the loss of one of them loses nothing and leaves
/// a voter that the witness can elect. (Harp's witness, Liskov et al. 1991, is likewise brought in only where a replica is missing.)
/// </para>
/// </summary>
internal static class WitnessShare
{
    /// <summary>The last entry that may be sent to a witness.</summary>
    /// <param name="membership">The one that counts.</param>
    /// <param name="match">How far a voter's log is durable and known to match.</param>
    /// <param name="keepsUp">Whether a voter's copy is worth waiting for.</param>
    public static LogIndex Limit(Membership membership, Func<NodeId, LogIndex> match, Func<NodeId, bool> keepsUp)
    {
        LogIndex limit = LimitOf(membership, membership.Voters, match, keepsUp);
        LogIndex outgoing = membership.IsJoint ? LimitOf(membership, membership.Outgoing, match, keepsUp) : limit;
        return outgoing < limit ? outgoing : limit;
    }

    /// <summary>The entries through <paramref name="limit"/>, without what commands carry.</summary>
    public static Entry[] Of(Entry[] entries, LogIndex limit) =>
        [.. entries.TakeWhile(entry => entry.Index <= limit).Select(entry => entry.Kind == EntryKind.Membership ? entry : entry with { Data = default })];

    private static LogIndex LimitOf(Membership membership, IReadOnlyList<NodeId> voters, Func<NodeId, LogIndex> match, Func<NodeId, bool> keepsUp)
    {
        NodeId[] withData = [.. voters.Where(voter => !membership.IsWitness(voter))];
        int majority = (voters.Count / 2) + 1;
        int copies = Math.Clamp(withData.Count(keepsUp), 1, majority);
        return withData.Select(match).OrderDescending().ElementAt(copies - 1);
    }
}
