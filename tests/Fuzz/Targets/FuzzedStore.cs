using System.Globalization;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;
using MetaStore.Fuzz.Running;
using MetaStore.Raft;

namespace MetaStore.Fuzz.Targets;

/// <summary>A node with the services of etcd on it, in memory where the system has a place for files there. Before each input it holds the same keys again, at other revisions.</summary>
internal sealed class FuzzedStore : IDisposable
{
    /// <summary>A lease that is always there, in the hands of the keys "c".</summary>
    public const long Lease = 7;

    private const string InMemory = "/dev/shm";
    private const long Rebased = 20;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);
    private static readonly ReadOnlyMemory<byte> s_first = new byte[] { 0 };

    private readonly string _directory =
        Directory.CreateDirectory(Path.Combine(Directory.Exists(InMemory) ? InMemory : Path.GetTempPath(), $"metastore-fuzz-{Environment.ProcessId}-{Guid.NewGuid():N}")).FullName;

    private readonly MetaStoreNode _node;
    private readonly MethodTable _methods;
    private long _base;

    public FuzzedStore()
    {
        var self = new Member(1, "single", ["http://10.0.0.1:2380"], ["http://10.0.0.1:2379"]);
        _node = MetaStoreNode.Open(
            new NodeSettings
            {
                Name = self.Name,
                ClusterId = 7,
                NodeId = new NodeId(self.Id),
                Members = [self],
                ClientUrls = self.ClientUrls,
                DataDirectory = _directory,
                HeartbeatInterval = TimeSpan.FromMilliseconds(20),
                ElectionTimeout = TimeSpan.FromMilliseconds(200),
                Seed = 1,
            },
            new Nowhere());
        _methods = EtcdServices.Create(_node, new EtcdServicesOptions { StreamMessageBytes = 16 });
    }

    public RpcMethod Find(string path) => _methods.Find(path) ?? throw new FuzzFailure($"{path} is declared and not served");

    /// <summary>Takes away what inputs have left, and puts the same keys in.</summary>
    public void Reset()
    {
        foreach (Member other in Wait(_node.MembersAsync(linearizable: false)).Members.Where(member => member.Id != _node.NodeId.Value))
        {
            Wait(_node.ChangeMembersAsync(new RemoveMember(other.Id)));
        }

        LeasesResponse leases = Wait(_node.LeasesAsync());
        foreach (long id in leases.Ids.Where(id => id != Lease))
        {
            Wait(_node.RevokeLeaseAsync(new LeaseRevokeRequest(id)));
        }

        if (!leases.Ids.Contains(Lease))
        {
            Wait(_node.GrantLeaseAsync(new LeaseGrantRequest(3600, Lease)));
        }

        Wait(_node.DeleteRangeAsync(new DeleteRangeRequest { Key = s_first, RangeEnd = s_first }));
        PutResponse put = Wait(_node.PutAsync(new PutRequest { Key = "a"u8.ToArray(), Value = "1"u8.ToArray() }));
        Wait(_node.CompactAsync(new CompactRequest(put.Header.Revision)));

        PutRequest[] puts = [new() { Key = "a"u8.ToArray(), Value = "22"u8.ToArray() }, new() { Key = "b"u8.ToArray(), Value = new byte[40] }, new() { Key = "c"u8.ToArray(), LeaseId = Lease }];
        _base = Wait(_node.TxnAsync(new TxnRequest { Success = puts })).Header.Revision.Value;
    }

    /// <summary>
    /// What a client could see of the store: equal before and after what has changed nothing.
    /// </summary>
    public string Fingerprint()
    {
        HashResponse hash = Wait(_node.HashAsync(new HashRequest(default)));
        LeasesResponse leases = Wait(_node.LeasesAsync());
        MembersResponse members = Wait(_node.MembersAsync(linearizable: false));
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"revision {hash.Header.Revision} compacted {hash.CompactRevision} hash {hash.Hash} leases {string.Join(',', leases.Ids)} members ");
        text.AppendJoin(' ', members.Members.Select(member => $"{member.Id}:{string.Join(',', member.PeerUrls)}:{member.IsLearner}"));
        return text.ToString();
    }

    /// <summary>Moves small revisions to where the store's are now, and makes leases long enough not to end by themselves meanwhile.</summary>
    public void Adapt(IMessage message)
    {
        foreach (FieldDescriptor field in message.Descriptor.Fields.InFieldNumberOrder())
        {
            if (field.FieldType == FieldType.Message)
            {
                object? value = field.Accessor.GetValue(message);
                foreach (IMessage inner in field.IsRepeated ? ((System.Collections.IList)value!).Cast<IMessage>() : value is IMessage one ? [one] : [])
                {
                    Adapt(inner);
                }
            }
            else if (field is { FieldType: FieldType.Int64, IsRepeated: false } && (!field.HasPresence || field.Accessor.HasValue(message)))
            {
                var number = (long)field.Accessor.GetValue(message);
                bool isRevision = field.Name.EndsWith("revision", StringComparison.Ordinal) || field.Name == "rev";
                if (isRevision && number is > 0 and <= Rebased)
                {
                    field.Accessor.SetValue(message, _base - (Rebased / 2) + number);
                }
                else if (field.Name == "TTL" && number < 600)
                {
                    field.Accessor.SetValue(message, number + 600);
                }
            }
        }
    }

    public void Dispose()
    {
        _node.DisposeAsync().AsTask().Wait(s_patience);
        Directory.Delete(_directory, recursive: true);
    }

    private static T Wait<T>(ValueTask<T> task) => task.AsTask().WaitAsync(s_patience).GetAwaiter().GetResult();

    /// <summary>Other members are never reached.</summary>
    private sealed class Nowhere : IPeerTransport
    {
        public void Send(GroupId group, Message message)
        {
            // Lost.
        }

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
        {
            // Nobody comes.
        }
    }
}
