using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>A member of today whose directory is gone: it had promised things that it knows nothing of, and must not vote.</summary>
public sealed class WipedMemberTests
{
    [SkippableFact]
    public async Task It_does_not_come_back_under_its_id()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync("--heartbeat-interval", "50", "--election-timeout", "500");
        int leader = await cluster.FindLeaderAsync();
        int wiped = (leader + 1) % 3;
        await cluster.Node(leader).PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = "v"u8.ToArray() });
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [.. cluster.Endpoints], RequestTimeout = Deadline.Generous });
        await Deadline.UntilAsync(async () => (await client.MembersAsync()).Members.All(member => member.DirectoryId != 0), "each member knows on which directories the others run");
        ulong id = (await cluster.TryStatusAsync(wiped))!.Header.NodeId;
        await cluster.KillAsync(wiped);
        Directory.Delete(cluster.DataDirectory(wiped), recursive: true);

        (int exitCode, string errors) = await cluster.StartRefusedAsync(wiped, "--initial-cluster-state", "existing");
        Assert.True(exitCode == 5, errors);
        Assert.Contains($"member {id:x16}", errors, StringComparison.Ordinal);
        Assert.Contains("has run before", errors, StringComparison.Ordinal);

        // As it was started first, it takes itself for the founder that it was; its peers know better.
        (exitCode, errors) = await cluster.StartRefusedAsync(wiped);
        Assert.True(exitCode == 8, errors);
        Assert.Contains("what it had promised is lost", errors, StringComparison.Ordinal);

        await cluster.Node(leader).PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = "w"u8.ToArray() });
    }
}
