using MetaStore.Raft;

namespace MetaStore.Engine;

/// <summary>
/// The one seam between a node and its peers. Best effort: messages may be lost, repeated and reordered, and Raft copes.
/// Production is the peer transport of MetaStore.Net; tests use a seeded fake.
/// </summary>
public interface IPeerTransport
{
    /// <summary>Hands the message over and returns at once. Where the peer's queue is full, the message is dropped.</summary>
    void Send(GroupId group, Message message);

    /// <summary>Says who the members are now, this node included, and which ids were removed for good. Called from the node's loop; returns at once.</summary>
    void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed);

    /// <summary>The traffic with each peer, by id, and takes one measure of each round trip. Empty where that is not counted. Any thread.</summary>
    IReadOnlyList<PeerFigures> MeasurePeers() => [];
}

/// <summary>Where a transport delivers. May be called from any thread; returns at once.</summary>
public interface IPeerMessageSink
{
    /// <summary>A message of a peer.</summary>
    void Receive(GroupId group, Message message);

    /// <summary>
    /// As <see cref="Receive"/>, for a transport that holds no lock at this moment and can do with being called back (<see cref="IPeerTransport.Send"/>) before this returns: the node may see to the
    /// message on this thread, which saves waking another.
    /// </summary>
    void ReceiveHere(GroupId group, Message message) => Receive(group, message);

    /// <summary>The peer cannot be reached; messages to it are being lost.</summary>
    void ReportUnreachable(NodeId peer);

    /// <summary>A peer refuses this member for good: it was removed from the cluster, or came back without the data it had.</summary>
    void ReportRefused(NodeId peer, MemberRefusal refusal, string reason);

    /// <summary>
    /// Names the data directory the node runs on; said in every handshake. A peer that knows the member by another one refuses it: whoever
    /// lost its directory could promise the opposite of what it had promised. 0 where that is not watched.
    /// </summary>
    ulong DirectoryId { get; }
}

/// <summary>What a door (binary protocol, gRPC) needs to know of the node behind it, beside <see cref="IMetaStore"/>.</summary>
public interface INodeInfo
{
    /// <summary>The cluster.</summary>
    ulong ClusterId { get; }

    /// <summary>This node.</summary>
    NodeId NodeId { get; }

    /// <summary>The leader it knows, or <see cref="MetaStore.Raft.NodeId.None"/>.</summary>
    NodeId LeaderId { get; }

    /// <summary>
    /// Raised when <see cref="LeaderId"/> has changed, on a thread that steps the node's loop: its own, or that of somebody who is asking the node for something. Handlers return at once, and
    /// take no lock that is held while the node is asked.
    /// </summary>
    event Action? LeaderChanged;
}
