using MetaStore.Engine.Replication;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>Hands the receipts of the log that the groups share to the group that each is for. A failure is everybody's.</summary>
internal sealed class LogRouter(NodeFailure failure) : ILogWriteObserver
{
    private readonly Dictionary<uint, ILogWriteObserver> _groups = [];

    /// <summary>Before the first write.</summary>
    public void Add(GroupCore group) => _groups.Add(group.Group.Value, group.Node);

    public void OnDurable(LogWrite write) => _groups[write.GroupId].OnDurable(write);

    public void OnFailed(Exception cause) => failure.Fail("log", cause);
}
