using System.Net;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Raft;
using MetaStore.Testing.Processes;
using MetaStore.Wal;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>Three nodes of 16 groups each, with threads, disks and connections of their own, in one process.</summary>
public sealed class GroupHostTests : IDisposable
{
    private const int Groups = 16;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("metastore-groups-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task AllGroups_Sleep_GoOnWithoutTheirLeadersNode_AndAreEqualOnceItIsBack()
    {
        int[] ports = FreePorts.Take(3);
        Member[] members = [.. ports.Select((port, i) => new Member((ulong)i + 1, $"n{i + 1}", [$"http://127.0.0.1:{port}"], []))];
        var nodes = new HostedNode[3];
        for (int i = 0; i < nodes.Length; i++)
        {
            nodes[i] = new HostedNode(members[i], members, Path.Combine(_directory.FullName, members[i].Name), life: 1);
        }

        try
        {
            await Until(() => nodes.All(node => Led(node) == Groups), "all groups have a leader");
            await PutToAll(nodes, "first");
            await Until(() => nodes.All(node => node.Host.Asleep == Groups), "all groups sleep");
            Assert.All(nodes, node => Assert.Equal(2, node.Transport.ConnectedPeers.Count));

            HostedNode victim = nodes.MaxBy(node => node.Host.Groups.Count(group => group.Node.Status.Leader == node.Id))!;
            await victim.DisposeAsync();
            HostedNode[] left = [.. nodes.Where(node => node != victim)];
            await Until(() => left.All(node => node.Host.Groups.All(group => IsLedByAnother(group, victim.Id))), "the groups that the dead node led have woken and elected another");
            await PutToAll(left, "second");

            int at = Array.IndexOf(nodes, victim);
            nodes[at] = new HostedNode(members[at], members, Path.Combine(_directory.FullName, members[at].Name), life: 2);
            for (uint group = 1; group <= Groups; group++)
            {
                GroupCore[] replicas = [.. nodes.Select(node => node.Host[new GroupId(group)])];
                await Until(() => replicas.Select(replica => replica.View.AppliedIndex).Distinct().Count() == 1 && replicas[0].View.Revision > 2, $"group {group} agrees");
                HashResponse[] hashes = await Task.WhenAll(replicas.Select(replica => replica.HashAsync(new HashRequest(Revision.Current)).AsTask()));
                Assert.Single(hashes.Select(hash => hash.Hash).Distinct());
                RangeResponse read = await replicas[at].RangeAsync(Get("second"));
                Assert.Equal(Bytes($"{group}"), read.Items[0].Value.ToArray());
            }
        }
        finally
        {
            foreach (HostedNode node in nodes)
            {
                await node.DisposeAsync();
            }
        }
    }

    private static int Led(HostedNode node) => node.Host.Groups.Count(group => !group.Node.Status.Leader.IsNone);

    private static bool IsLedByAnother(GroupCore group, NodeId dead) => !group.Node.Status.Leader.IsNone && group.Node.Status.Leader != dead;

    /// <summary>One put to each group, all at once, through the nodes in turn.</summary>
    private static Task PutToAll(HostedNode[] nodes, string key) => Task.WhenAll(Enumerable.Range(1, Groups).Select(
        group => nodes[group % nodes.Length].Host[new GroupId((uint)group)].PutAsync(Put(key, $"{group}")).AsTask()));

    /// <summary>A host with its threads and its transport.</summary>
    private sealed class HostedNode : IAsyncDisposable
    {
        private readonly NodeThreads _threads = new(BootClock.Instance);
        private bool _isDisposed;

        public HostedNode(Member self, Member[] members, string directory, ulong life)
        {
            Id = new NodeId(self.Id);
            Transport = new PeerTransport(new PeerTransportOptions
            {
                ClusterId = 7,
                NodeId = Id,
                Endpoint = (IPEndPoint)EndpointText.Parse(self.PeerUrls[0]),
                JitterSeed = 1,
            });
            var settings = new NodeSettings
            {
                Name = self.Name,
                ClusterId = 7,
                NodeId = Id,
                Members = members,
                DataDirectory = directory,
                Seed = (self.Id << 8) | life,
            };
            var seams = new NodeSeams
            {
                Disk = new NativeDisk(),
                Transport = Transport,
                Time = BootClock.Instance,
                Signals = _threads.SignalOf,
                RunContinuationsAsynchronously = true,
            };
            Host = new GroupHost(settings, seams, [.. Enumerable.Range(1, Groups).Select(group => new GroupId((uint)group))]);
            _threads.Start(Host);
            Transport.Start(Host);
        }

        public NodeId Id { get; }

        public GroupHost Host { get; }

        public PeerTransport Transport { get; }

        public async ValueTask DisposeAsync()
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            await Transport.DisposeAsync();
            await _threads.StopAsync(TimeSpan.Zero);
            Assert.Null(Host.Failure.Cause);
            Host.Dispose();
        }
    }
}
