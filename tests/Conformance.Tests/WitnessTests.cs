using System.Globalization;
using System.Text;
using System.Text.Json;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Raft;
using MetaStore.Testing.Processes;
using MetaStore.Wal;

namespace MetaStore.Conformance.Tests;

/// <summary>Two members with data and a witness, made by the command line alone: either of the two may be lost, and the one of higher priority leads.</summary>
public sealed class WitnessTests
{
    private const int Size = 3;
    private const int Witness = 2;
    private const string Value = "a value that no witness sees";

    private readonly int[] _clientPorts;
    private readonly int[] _peerPorts;
    private readonly ServerProcess?[] _running = new ServerProcess?[Size];
    private readonly ulong[] _ids = new ulong[Size];

    public WitnessTests()
    {
        int[] ports = FreePorts.Take(2 * Size);
        _clientPorts = ports[..Size];
        _peerPorts = ports[Size..];
    }

    [SkippableFact]
    public async Task Either_member_with_data_may_be_lost_and_the_witness_holds_none()
    {
        using var directory = new TestDirectory();
        try
        {
            await StartAsync(directory, 0);
            _ids[0] = (await MembersAsync(0)).Single().Id;
            _ids[1] = await AddAndStartAsync(directory, 1);
            _ids[Witness] = await AddAndStartAsync(directory, Witness, "--witness");
            await PutAsync("first");

            await WhatAWitnessRefusesAsync();

            await CommandAsync("member", "update", $"{_ids[1]:x}", "--priority", "200", "--endpoints", Endpoint(0));
            await Deadline.UntilAsync(async () => (await StatusAsync(0))?.LeaderId == _ids[1], "the member of higher priority leads");

            await KillAsync(0);
            await PutAsync("one member with data and the witness");
            await StartAsync(directory, 0);
            await Deadline.UntilAsync(
                async () => await StatusAsync(0) is { } back && await StatusAsync(1) is { } leader && back.AppliedIndex == leader.AppliedIndex, "the member that was away has caught up");

            await KillAsync(1);
            await PutAsync("the other one and the witness");
            await using MetaStoreClient client = Client(Witness, 0);
            Assert.Equal(
                ["w/first", "w/one member with data and the witness", "w/the other one and the witness"],
                (await StoreReading.ReadAllAsync(client, "w/", serializable: false)).Keys.Order(StringComparer.Ordinal));
            Assert.Equal(_ids[0], (await StatusAsync(0))!.LeaderId);
            await KillAsync(Witness);
            await KillAsync(0);
            Assert.InRange(CommandBytes(directory.Of("n0")), 3 * Value.Length, int.MaxValue);
            Assert.Equal(0, CommandBytes(directory.Of($"n{Witness}")));
        }
        finally
        {
            foreach (ServerProcess? server in _running)
            {
                if (server is not null)
                {
                    await server.DisposeAsync();
                }
            }
        }
    }

    private async Task WhatAWitnessRefusesAsync()
    {
        Assert.Equal(
            [false, false, true],
            (await MembersAsync(0)).OrderBy(member => Array.IndexOf(_ids, member.Id)).Select(member => member.IsWitness));
        Assert.True((await StatusAsync(Witness))!.IsWitness);
        foreach (string[] command in (string[][])[["get", "w/first"], ["get", "w/first", "--serializable"], ["put", "k", "v"], ["hash"]])
        {
            await RefusedAsync("holds no data to read or write", [.. command, "--endpoints", Endpoint(Witness)]);
        }

        await RefusedAsync("is a witness, which never leads", "move-leader", $"{_ids[Witness]:x}", "--endpoints", Endpoint(0));
        await RefusedAsync("it never leads", "member", "update", $"{_ids[Witness]:x}", "--priority", "7", "--endpoints", Endpoint(0));
        await RefusedAsync("can only promote a learner", "member", "promote", $"{_ids[Witness]:x}", "--endpoints", Endpoint(0));
    }

    /// <summary>What the commands in the log of a stopped node carry, in bytes.</summary>
    private static int CommandBytes(string directory)
    {
        var disk = new NativeDisk();
        WalIdentity identity = DirectoryIdentity.TryRead(disk, directory)!.Identity;
        using WriteAheadLog log = WriteAheadLog.Open(disk, directory, identity, new WalOptions(), out WalRecovery recovery);
        LogEntry[] commands = [.. recovery.Groups.Single().Entries.Where(entry => entry.Kind == (byte)EntryKind.Command)];
        Assert.True(commands.Length >= 3);
        return commands.Sum(entry => entry.Data.Length);
    }

    /// <summary>Until it is acknowledged: a put of one value to a key of its own does no harm if it is applied twice.</summary>
    private async Task PutAsync(string key)
    {
        await using MetaStoreClient client = Client(0, 1, Witness);
        await Deadline.UntilAsync(
            async () =>
            {
                try
                {
                    await client.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes("w/" + key), Value = Encoding.UTF8.GetBytes(Value) });
                    return true;
                }
                catch (MetaStoreException e) when (e.Outcome == Outcome.Unknown)
                {
                    return false;
                }
            },
            $"\"{key}\" is acknowledged");
    }

    private MetaStoreClient Client(params int[] nodes) => MetaStoreClient.Connect(new MetaStoreClientOptions
    {
        Endpoints = [.. nodes.Select(Endpoint)],
        RequestTimeout = Deadline.Generous,
    });

    private async Task<ulong> AddAndStartAsync(TestDirectory directory, int node, params string[] flags)
    {
        string output = string.Empty;
        await Deadline.UntilAsync(
            async () =>
            {
                (int exitCode, output, _) = await RunAsync(["member", "add", $"n{node}", "--peer-urls", PeerUrl(node), "-w", "json", "--endpoints", Endpoint(0), .. flags]);
                return exitCode == 0;
            },
            $"member {node} may be added");
        string cluster = string.Join(',', Enumerable.Range(0, node + 1).Select(i => $"n{i}={PeerUrl(i)}"));
        await StartAsync(directory, node, "--initial-cluster-state", "existing", "--initial-cluster", cluster);
        ulong id = JsonDocument.Parse(output).RootElement.GetProperty("member").GetUInt64();
        await Deadline.UntilAsync(async () => (await MembersAsync(0)).Any(member => member.Id == id && !member.IsLearner), $"member {node} votes");
        return id;
    }

    private async Task StartAsync(TestDirectory directory, int node, params string[] flags) => _running[node] = await ServerProcess.StartAsync(
    [
        "--name", $"n{node}", "--data-dir", directory.Of($"n{node}"), "--listen-client-urls", $"http://{Endpoint(node)}", "--listen-peer-urls", PeerUrl(node),
        "--heartbeat-interval", "50", "--election-timeout", "500",
        .. flags.Length > 0 ? flags : ["--initial-cluster", $"n{node}={PeerUrl(node)}"],
    ]);

    private async Task KillAsync(int node)
    {
        await _running[node]!.Child.KillAsync();
        await _running[node]!.DisposeAsync();
        _running[node] = null;
    }

    private string Endpoint(int node) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_clientPorts[node]}");

    private string PeerUrl(int node) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_peerPorts[node]}");

    private async Task<IReadOnlyList<Member>> MembersAsync(int node)
    {
        await using MetaStoreClient client = Client(node);
        return (await client.MembersAsync()).Members;
    }

    private async Task<StatusResponse?> StatusAsync(int node)
    {
        await using MetaStoreClient client = Client(node);
        return _running[node] is null ? null : await client.StatusAsync();
    }

    private static Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments) => ChildProcess.RunAsync([.. ProgramPath.Find(), .. arguments]);

    private static async Task CommandAsync(params string[] arguments)
    {
        (int exitCode, string _, string errors) = await RunAsync([.. arguments, "--command-timeout", "30s"]);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: {errors}");
    }

    private static async Task RefusedAsync(string reason, params string[] arguments)
    {
        (int exitCode, string _, string errors) = await RunAsync([.. arguments, "--command-timeout", "10s"]);
        Assert.Equal(1, exitCode);
        Assert.Contains(reason, errors, StringComparison.Ordinal);
    }
}
