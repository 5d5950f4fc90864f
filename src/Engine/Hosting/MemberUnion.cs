using MetaStore.Raft;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// One stream per pair of nodes for all groups: the transport reaches whoever is a member in any of them, and refuses whoever was removed from
/// one and belongs to none. Members are told on the node loop.
/// </summary>
internal sealed class MemberUnion(IPeerTransport transport)
{
    private readonly IPeerTransport _transport = transport;
    private readonly SortedDictionary<uint, (IReadOnlyCollection<Member> Members, IReadOnlyCollection<ulong> Removed)> _groups = [];

    /// <summary>The way to its peers for one group.</summary>
    public IPeerTransport For(GroupId group) => new Share(this, group);

    private void Set(GroupId group, IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
    {
        _groups[group.Value] = (members, removed);

        // Of two groups that differ about a member, one has not heard of its directory yet: the one that has knows more.
        Member[] all = [.. _groups.Values.SelectMany(told => told.Members).OrderBy(member => member.DirectoryId == 0).DistinctBy(member => member.Id).OrderBy(member => member.Id)];
        HashSet<ulong> present = [.. all.Select(member => member.Id)];
        _transport.SetMembers(all, [.. _groups.Values.SelectMany(told => told.Removed).Distinct().Where(id => !present.Contains(id)).Order()]);
    }

    private sealed class Share(MemberUnion union, GroupId own) : IPeerTransport
    {
        public void Send(GroupId group, Message message) => union._transport.Send(group, message);

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed) => union.Set(own, members, removed);

        public IReadOnlyList<PeerFigures> MeasurePeers() => union._transport.MeasurePeers();
    }
}
