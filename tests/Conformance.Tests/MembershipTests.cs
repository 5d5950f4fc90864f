using System.Collections.Concurrent;
using System.Text;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>A cluster grows from one node to five and shrinks to one again, by the command line alone, while it takes writes.</summary>
public sealed class MembershipTests
{
    private const int Size = 5;

    [SkippableFact]
    public async Task From_one_to_five_and_back_under_load()
    {
        // A busy machine does not make up for a leader's absence in three seconds: whoever is unseated was unseated by somebody.
        await using var cluster = new GrowingCluster(Size, electionMilliseconds: 3000);
        await cluster.StartAloneAsync(0);
        using var stop = new CancellationTokenSource();
        var load = new RetriedWrites();
        Task writing = load.WriteAsync([.. Enumerable.Range(0, Size).Select(cluster.Endpoint)], stop.Token);

        var ids = new ulong[Size];
        ids[0] = (await cluster.MembersAsync(0)).Single().Id;
        for (int node = 1; node < Size; node++)
        {
            // The second one is promoted by hand, the others by the leader.
            ids[node] = await cluster.AddAndStartAsync(node, through: 0, node == 2 ? ["--learner"] : []);
            if (node == 2)
            {
                await Deadline.UntilAsync(
                    async () => (await GrowingCluster.RunAsync("member", "promote", $"{ids[2]:x}", "--endpoints", cluster.Endpoint(0))).ExitCode == 0, "the learner has caught up");
            }

            await cluster.AwaitVotersAsync(node + 1, seenBy: 0);
            await load.WaitForMoreAsync(50);
        }

        await GrowingCluster.CommandAsync("move-leader", $"{ids[4]:x}", "--endpoints", cluster.Endpoint(0));
        await load.WaitForMoreAsync(50);

        // The leader itself goes first.
        foreach (int node in new[] { 4, 0, 1, 2 })
        {
            await RemoveAsync(cluster, node, ids[node]);
            await load.WaitForMoreAsync(50);
            if (node == 0)
            {
                await RemovedMembersDisturbNobodyAsync(cluster, load);
            }
        }

        await stop.CancelAsync();
        await writing;
        Assert.Equal(ids[3], Assert.Single(await cluster.MembersAsync(3)).Id);
        await load.AssertAllThereAsync(cluster.Endpoint(3));

        await ARemovedMemberStaysOutAsync(cluster, ids);
        Assert.Equal(0, await cluster.StopAsync(3));
    }

    /// <summary>Three voters stay three, the leader is the one that goes, and a write that was acknowledged on the way is there.</summary>
    [SkippableFact]
    public async Task A_learner_takes_the_leaders_place_in_one_step()
    {
        await using var cluster = new GrowingCluster(4);
        await cluster.StartAloneAsync(0);
        ulong leader = (await cluster.MembersAsync(0)).Single().Id;
        for (int node = 1; node < 3; node++)
        {
            await cluster.AddAndStartAsync(node, through: 0);
            await cluster.AwaitVotersAsync(node + 1, seenBy: 0);
        }

        ulong learner = await cluster.AddAndStartAsync(3, through: 0, "--learner");
        using var stop = new CancellationTokenSource();
        var load = new RetriedWrites();
        Task writing = load.WriteAsync([.. Enumerable.Range(0, 4).Select(cluster.Endpoint)], stop.Token);
        await load.WaitForMoreAsync(50);
        await GrowingCluster.RefusedAsync("member not found", "member", "promote", $"{learner:x}", "--replacing", "99", "--endpoints", cluster.Endpoint(1));
        await Deadline.UntilAsync(
            async () =>
            {
                string[] command = ["member", "promote", $"{learner:x}", "--replacing", $"{leader:x}", "--endpoints", cluster.Endpoint(1)];
                (int exitCode, string _, string errors) = await GrowingCluster.RunAsync(command);
                return exitCode == 0 || errors.Contains("was removed from the cluster", StringComparison.Ordinal);
            },
            "the learner has caught up");

        Assert.Equal(8, await cluster.Child(0).WaitForExitAsync());
        await cluster.ForgetAsync(0);
        await load.WaitForMoreAsync(50);
        await stop.CancelAsync();
        await writing;
        IReadOnlyList<Member> members = await cluster.MembersAsync(1);
        Assert.Equal(3, members.Count);
        Assert.DoesNotContain(members, member => member.Id == leader || member.IsLearner);
        Assert.Contains(members, member => member.Id == learner);
        await load.AssertAllThereAsync(cluster.Endpoint(3));
    }

    private static async Task RemoveAsync(GrowingCluster cluster, int node, ulong id)
    {
        // Whoever is told nothing of it for a while may be in no state to answer: the ones that stay are asked.
        // On a busy machine the answer may be that the outcome is open; asked again, the member is gone.
        await Deadline.UntilAsync(
            async () =>
            {
                (int exitCode, string _, string errors) = await GrowingCluster.RunAsync("member", "remove", $"{id:x}", "--endpoints", cluster.Endpoint(3));
                return exitCode == 0 || errors.Contains("was removed from the cluster", StringComparison.Ordinal);
            },
            $"member {node} is removed");
        Assert.Equal(8, await cluster.Child(node).WaitForExitAsync());
        await cluster.ForgetAsync(node);
    }

    /// <summary>
    /// Three voters take writes, and those who were removed come again: one with its data, one wiped, as an added member and as a founder of what it takes for its cluster. The three go on under the leader
    /// that they have, each time.
    /// </summary>
    private static async Task RemovedMembersDisturbNobodyAsync(GrowingCluster cluster, RetriedWrites load)
    {
        string[] existing = ["--initial-cluster-state", "existing", "--initial-cluster", cluster.ClusterText(1, 2, 3, 0)];
        for (int attempt = 0; attempt < 3; attempt++)
        {
            StatusResponse before = await cluster.StatusAsync(3);
            (int exitCode, string errors) = await cluster.StartRefusedAsync(0, existing);
            Assert.True(exitCode == 8, errors);
            Directory.Delete(cluster.DataDirectory(4), recursive: true);
            (exitCode, errors) = await cluster.StartRefusedAsync(4, "--initial-cluster-state", "existing", "--initial-cluster", cluster.ClusterText(1, 2, 3, 4));
            Assert.True(exitCode == 5, errors);
            await cluster.StartStrangerAsync(4, "ClusterMismatch", "--initial-cluster", cluster.ClusterText(1, 2, 3, 4));
            await load.WaitForMoreAsync(50);
            StatusResponse after = await cluster.StatusAsync(3);
            Assert.Equal((before.LeaderId, before.Header.Term), (after.LeaderId, after.Header.Term));
        }
    }

    /// <summary>With its data, wiped, or as if nothing had been: it does not get in, and the rest does not notice.</summary>
    private static async Task ARemovedMemberStaysOutAsync(GrowingCluster cluster, ulong[] ids)
    {
        StatusResponse before = await cluster.StatusAsync(3);
        string[] flags = ["--initial-cluster-state", "existing", "--initial-cluster", cluster.ClusterText(3, 1)];
        (int exitCode, string errors) = await cluster.StartRefusedAsync(1, flags);
        Assert.Equal(8, exitCode);
        Assert.Contains("removed from the cluster", errors);

        Directory.Delete(cluster.DataDirectory(1), recursive: true);
        (exitCode, errors) = await cluster.StartRefusedAsync(1, flags);
        Assert.Equal(5, exitCode);
        Assert.Contains("no member of cluster", errors);

        await GrowingCluster.RefusedAsync("member not found", "member", "promote", $"{ids[1]:x}", "--endpoints", cluster.Endpoint(3));
        StatusResponse after = await cluster.StatusAsync(3);
        Assert.Equal(before.Header.Term, after.Header.Term);
        Assert.Equal(ids[3], after.LeaderId);
    }

    /// <summary>Writers that try each put until it is acknowledged: a put of one value to a key of its own does no harm if it is applied twice.</summary>
    private sealed class RetriedWrites
    {
        private const int Writers = 4;

        private readonly ConcurrentDictionary<string, string> _acknowledged = new(StringComparer.Ordinal);

        public async Task WriteAsync(IReadOnlyList<string> endpoints, CancellationToken stop)
        {
            await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = endpoints, RequestTimeout = TimeSpan.FromSeconds(2) });
            await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => WriteOneByOneAsync(client, writer, stop)));
        }

        public async Task WaitForMoreAsync(int count)
        {
            int target = _acknowledged.Count + count;
            await Deadline.UntilAsync(() => _acknowledged.Count >= target, $"{target} writes are acknowledged");
        }

        public async Task AssertAllThereAsync(string endpoint)
        {
            await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [endpoint], RequestTimeout = TimeSpan.FromSeconds(30) });
            IReadOnlyDictionary<string, string> found = await StoreReading.ReadAllAsync(client, "m/", serializable: false);
            Assert.Empty(_acknowledged.Where(put => found.GetValueOrDefault(put.Key) != put.Value).Select(put => put.Key).Order(StringComparer.Ordinal));
        }

        private async Task WriteOneByOneAsync(MetaStoreClient client, int writer, CancellationToken stop)
        {
            for (int number = 0; !stop.IsCancellationRequested;)
            {
                string key = $"m/{writer}/{number:d8}";
                string value = $"{writer} {number}";
                try
                {
                    await client.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes(key), Value = Encoding.UTF8.GetBytes(value) }, CancellationToken.None);
                    _acknowledged[key] = value;
                    number++;
                }
                catch (MetaStoreException)
                {
                    // Tried again, the same.
                }
            }
        }
    }
}
