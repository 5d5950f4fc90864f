using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>A cluster grows from one node to five and shrinks to one again, by the command line alone, while it takes writes.</summary>
public sealed class MembershipTests
{
    private const int Size = 5;

    private readonly int[] _clientPorts;
    private readonly int[] _peerPorts;
    private readonly Dictionary<int, ServerProcess> _running = [];

    public MembershipTests()
    {
        int[] ports = FreePorts.Take(2 * Size);
        _clientPorts = ports[..Size];
        _peerPorts = ports[Size..];
    }

    [SkippableFact]
    public async Task From_one_to_five_and_back_under_load()
    {
        using var directory = new TestDirectory();
        try
        {
            await StartAsync(directory, 0, ["--initial-cluster", $"n0={PeerUrl(0)}"]);
            using var stop = new CancellationTokenSource();
            var load = new RetriedWrites();
            Task writing = load.WriteAsync([.. _clientPorts.Select(port => $"127.0.0.1:{port}")], stop.Token);

            var ids = new ulong[Size];
            ids[0] = (await MembersAsync(0)).Single().Id;
            for (int node = 1; node < Size; node++)
            {
                // The second one is promoted by hand, the others by the leader.
                ids[node] = await AddAndStartAsync(directory, node, node == 2 ? ["--learner"] : []);
                if (node == 2)
                {
                    await Deadline.UntilAsync(async () => (await RunAsync("member", "promote", $"{ids[2]:x}", "--endpoints", Endpoint(0))).ExitCode == 0, "the learner has caught up");
                }

                await Deadline.UntilAsync(async () => (await MembersAsync(0)).Count(member => !member.IsLearner && member.Name.Length > 0) == node + 1, $"{node + 1} voters");
                await load.WaitForMoreAsync(50);
            }

            await CommandAsync("move-leader", $"{ids[4]:x}", "--endpoints", Endpoint(0));
            await load.WaitForMoreAsync(50);

            // The leader itself goes first.
            foreach (int node in new[] { 4, 0, 1, 2 })
            {
                // Whoever is told nothing of it for a while may be in no state to answer: the ones that stay are asked.
                // On a busy machine the answer may be that the outcome is open; asked again, the member is gone.
                await Deadline.UntilAsync(
                    async () =>
                    {
                        (int exitCode, string _, string errors) = await RunAsync("member", "remove", $"{ids[node]:x}", "--endpoints", Endpoint(3));
                        return exitCode == 0 || errors.Contains("was removed from the cluster", StringComparison.Ordinal);
                    },
                    $"member {node} is removed");
                Assert.Equal(8, await _running[node].Child.WaitForExitAsync());
                await _running[node].DisposeAsync();
                _running.Remove(node);
                await load.WaitForMoreAsync(50);
            }

            await stop.CancelAsync();
            await writing;
            Assert.Equal(ids[3], Assert.Single(await MembersAsync(3)).Id);
            await load.AssertAllThereAsync(Endpoint(3));

            await ARemovedMemberStaysOutAsync(directory, ids);
            Assert.Equal(0, await _running[3].StopAsync());
        }
        finally
        {
            foreach (ServerProcess server in _running.Values)
            {
                await server.DisposeAsync();
            }
        }
    }

    /// <summary>With its data, wiped, or as if nothing had been: it does not get in, and the rest does not notice.</summary>
    private async Task ARemovedMemberStaysOutAsync(TestDirectory directory, ulong[] ids)
    {
        StatusResponse before = await StatusAsync(3);
        await using (ServerProcess withData = ServerProcess.Launch(Arguments(directory, 1, ["--initial-cluster-state", "existing", "--initial-cluster", ClusterText(3, 1)])))
        {
            Assert.Equal(8, await withData.Child.WaitForExitAsync());
            Assert.Contains("removed from the cluster", withData.Child.Errors);
        }

        Directory.Delete(directory.Of("n1"), recursive: true);
        await using (ServerProcess wiped = ServerProcess.Launch(Arguments(directory, 1, ["--initial-cluster-state", "existing", "--initial-cluster", ClusterText(3, 1)])))
        {
            Assert.Equal(5, await wiped.Child.WaitForExitAsync());
            Assert.Contains("no member of cluster", wiped.Child.Errors);
        }

        (int exitCode, string _, string errors) = await RunAsync("member", "promote", $"{ids[1]:x}", "--endpoints", Endpoint(3));
        Assert.Equal(1, exitCode);
        Assert.Contains("member not found", errors);
        StatusResponse after = await StatusAsync(3);
        Assert.Equal(before.Header.Term, after.Header.Term);
        Assert.Equal(ids[3], after.LeaderId);
    }

    private static string ClusterText(int ports, int peer) => $"n{ports}=PEER{ports},n{peer}=PEER{peer}";

    private async Task<ulong> AddAndStartAsync(TestDirectory directory, int node, string[] flags)
    {
        string output = string.Empty;
        await Deadline.UntilAsync(
            async () =>
            {
                (int exitCode, output, _) = await RunAsync(["member", "add", $"n{node}", "--peer-urls", PeerUrl(node), "-w", "json", "--endpoints", Endpoint(0), .. flags]);
                return exitCode == 0;
            },
            $"member {node} may be added");
        ulong id = JsonDocument.Parse(output).RootElement.GetProperty("member").GetUInt64();
        string cluster = string.Join(',', Enumerable.Range(0, node + 1).Select(i => $"n{i}={PeerUrl(i)}"));
        await StartAsync(directory, node, ["--initial-cluster-state", "existing", "--initial-cluster", cluster]);
        return id;
    }

    private async Task StartAsync(TestDirectory directory, int node, string[] flags) =>
        _running[node] = await ServerProcess.StartAsync(Arguments(directory, node, flags));

    private string[] Arguments(TestDirectory directory, int node, string[] flags) =>
    [
        "--name", $"n{node}", "--data-dir", directory.Of($"n{node}"), "--listen-client-urls", $"http://{Endpoint(node)}",
        "--listen-peer-urls", PeerUrl(node), "--heartbeat-interval", "50", "--election-timeout", "500",
        .. flags.Select(flag => Enumerable.Range(0, Size).Aggregate(flag, (text, i) => text.Replace($"PEER{i}", PeerUrl(i), StringComparison.Ordinal))),
    ];

    private string Endpoint(int node) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_clientPorts[node]}");

    private string PeerUrl(int node) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_peerPorts[node]}");

    private async Task<IReadOnlyList<Member>> MembersAsync(int node)
    {
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [Endpoint(node)], RequestTimeout = TimeSpan.FromSeconds(30) });
        return (await client.MembersAsync()).Members;
    }

    private async Task<StatusResponse> StatusAsync(int node)
    {
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [Endpoint(node)], RequestTimeout = TimeSpan.FromSeconds(30) });
        return await client.StatusAsync();
    }

    private static Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments) => ChildProcess.RunAsync([.. ProgramPath.Find(), .. arguments]);

    private static async Task CommandAsync(params string[] arguments)
    {
        (int exitCode, string _, string errors) = await RunAsync([.. arguments, "--command-timeout", "30s"]);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: {errors}");
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
