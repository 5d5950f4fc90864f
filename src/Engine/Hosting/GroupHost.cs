using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// A node of many groups without threads. They share one log, and so its syncs; one stream per peer; one pulse between nodes, by which groups
/// that have nothing to do may sleep; and the four loops, which step whichever group has something to do. Each has its own Raft, store,
/// and snapshots.
/// </summary>
internal sealed class GroupHost : ILoopHost
{
    private readonly NodeShared _shared;
    private readonly Dictionary<GroupId, GroupCore> _groups = [];
    private readonly GroupCore[] _ordered;
    private readonly NodeBeats _beats;
    private readonly LogLoop _log;
    private readonly SharedLoop _node;
    private readonly SharedLoop _apply;
    private readonly SharedLoop _snapshot;
    private readonly SharedLoop _watch;

    /// <param name="settings">What the node is. Its members are those of each group that is new.</param>
    /// <param name="seams">The world outside.</param>
    /// <param name="groups">Its groups, the same on all members; none is 0, which stands for the node itself.</param>
    public GroupHost(NodeSettings settings, NodeSeams seams, IReadOnlyList<GroupId> groups)
    {
        settings.Validate();
        if (groups.Count == 0 || groups.Contains(NodeBeats.NodeGroup) || groups.Distinct().Count() != groups.Count)
        {
            throw new ArgumentException($"A node has at least one group, none twice, and none is 0; these are {string.Join(", ", groups)}.", nameof(groups));
        }

        _shared = new NodeShared(settings, seams, NodeStorage.Open(seams.Disk, settings, groups, seams.Parts));
        _node = NewLoop("node");
        _apply = NewLoop("apply");
        _snapshot = NewLoop("snapshot");
        _watch = NewLoop("watch");
        SharedLoop.Seat beats = _node.Reserve();
        _beats = new NodeBeats(settings, seams.Time, seams.Transport, group => _groups[group].Node.Rouse());
        beats.Take(_beats);
        var router = new LogRouter(Failure);
        var space = new LogSpace(_shared.Storage.Log, _groups);
        _log = new LogLoop(_shared.Storage.Log, router, seams.Signals("log"), space.Look);
        var peers = new MemberUnion(seams.Transport);
        var random = new SplitMix64(settings.Seed);
        foreach (GroupStorage storage in _shared.Storage.Groups)
        {
            GroupCore group = Seat(storage, random, peers);
            group.Connect(_log.Writer);
            router.Add(group);
        }

        _ordered = [.. _groups.Values];
        Failure.Connect(WakeAll);
    }

    public NodeFailure Failure => _shared.Failure;

    public IReadOnlyList<GroupCore> Groups => _ordered;

    public IReadOnlyList<ILoop> Loops => [_node, _log, _apply, _snapshot, _watch];

    public string? RecoveryNote => _shared.Storage.RecoveryNote;

    public long OperationsRented => _shared.Operations.Rented;

    public ulong DirectoryId => _shared.Storage.DirectoryId;

    /// <summary>Groups that sleep here. Any thread.</summary>
    public int Asleep => _beats.Asleep;

    public GroupCore this[GroupId group] => _groups[group];

    public void Receive(GroupId group, Message message)
    {
        _beats.Heard(message.From);
        if (_groups.TryGetValue(group, out GroupCore? core))
        {
            core.Node.Receive(message);
        }
    }

    public void ReportUnreachable(NodeId peer)
    {
        foreach (GroupCore group in _ordered)
        {
            group.Node.ReportUnreachable(peer);
        }
    }

    public void ReportRefused(NodeId peer, MemberRefusal refusal, string reason)
    {
        foreach (GroupCore group in _ordered)
        {
            group.Node.ReportRefused(peer, refusal, reason);
        }
    }

    public void RefuseNew() => _shared.RefuseNew();

    public void AbandonAll()
    {
        _shared.EndLoops();
        foreach (GroupCore group in _ordered)
        {
            group.AbandonAll();
        }
    }

    public void Dispose()
    {
        foreach (GroupCore group in _ordered)
        {
            group.Dispose();
        }

        _shared.Storage.Dispose();
    }

    private SharedLoop NewLoop(string name) => new(name, Failure, _shared.Seams.Time, _shared.Seams.Signals(name));

    private GroupCore Seat(GroupStorage storage, SplitMix64 random, MemberUnion peers)
    {
        (SharedLoop.Seat node, SharedLoop.Seat apply, SharedLoop.Seat snapshot, SharedLoop.Seat watch) = (_node.Reserve(), _apply.Reserve(), _snapshot.Reserve(), _watch.Reserve());
        var core = new GroupCore(_shared, storage, random, new GroupSignals(node, apply, snapshot, watch), peers.For(storage.Group), _beats);
        _groups.Add(storage.Group, core);
        node.Take(core.Node);
        apply.Take(core.Apply);
        snapshot.Take(core.Snapshot);
        watch.Take(core.Watch);
        return core;
    }

    private void WakeAll()
    {
        foreach (ILoopSignal signal in (ILoopSignal[])[_node.Signal, _apply.Signal, _snapshot.Signal, _watch.Signal])
        {
            signal.Set();
        }
    }
}
