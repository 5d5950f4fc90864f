using System.Net.Sockets;
using System.Text;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

/// <summary>The real program, once through everything it can do.</summary>
public sealed class SmokeTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_was_stored_is_there_after_a_restart()
    {
        string data = _directory.Of("data");
        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            Assert.Contains("recovered term 0 index 0", server.Child.Output);
            await ExerciseAsync(server);
            Assert.Equal(0, await server.StopAsync());
            string[] said = server.Child.Output.Trim().Split('\n');
            Assert.Equal(2, said.Length);
            Assert.Equal($"ready to serve client requests on {server.Endpoint}", said[1]);
        }

        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            Assert.DoesNotContain("index 0 ", server.Child.Output);
            Assert.Equal("k1\nv2\n", await ClientAsync(server, "get", "k1"));
            Assert.Equal("bin\n\0\r\n\n", await ClientAsync(server, "get", "bin"));
            Assert.Equal(0, await server.StopAsync());
        }

        (int exitCode, string output, _) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "wal", "verify", data]);
        Assert.Equal(0, exitCode);
        Assert.EndsWith("\nsound\n", output);
    }

    /// <summary>As units of Type=notify ask for it, which distributions have for etcd.</summary>
    [Fact]
    public async Task The_service_manager_is_told_when_it_serves_and_when_it_stops()
    {
        string path = _directory.Of("notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = (int)Deadline.Generous.TotalMilliseconds };
        manager.Bind(new UnixDomainSocketEndPoint(path));
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"), ["env", $"NOTIFY_SOCKET={path}"]);
        Assert.Equal("READY=1", Hear(manager));
        Assert.Contains("ready to serve client requests", server.Child.Output);
        Assert.Equal(0, await server.StopAsync());
        Assert.Equal("STOPPING=1", Hear(manager));

        static string Hear(Socket manager)
        {
            byte[] bytes = new byte[256];
            return Encoding.ASCII.GetString(bytes, 0, manager.Receive(bytes));
        }
    }

    [Fact]
    public async Task A_service_manager_that_is_not_there_keeps_nobody_from_serving()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"), ["env", $"NOTIFY_SOCKET={_directory.Of("nobody")}"]);
        Assert.Equal("OK\n", await ClientAsync(server, "put", "a", "1"));
        Assert.Equal(0, await server.StopAsync());
        Assert.Contains("The service manager could not be told at NOTIFY_SOCKET", server.Child.Errors);
    }

    [Fact]
    public async Task One_port_serves_this_protocol_and_etcds()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        using var http = new HttpClient { BaseAddress = new Uri($"http://{server.Endpoint}") };
        using HttpResponseMessage put = await http.PostAsync("/v3/kv/put", new StringContent("""{"key":"Zm9v","value":"YmFy"}"""));
        Assert.True(put.IsSuccessStatusCode, await put.Content.ReadAsStringAsync());
        Assert.Equal("foo\nbar\n", await ClientAsync(server, "get", "foo"));
        Assert.Equal("""{"health":"true","reason":""}""", await http.GetStringAsync("/health"));
        Assert.Contains("\netcd_mvcc_put_total 1\n", await http.GetStringAsync("/metrics"));
        Assert.Equal(0, await server.StopAsync());
    }

    [Fact]
    public async Task Leases_from_the_command_line()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        Assert.Equal("lease 000000000000001f granted with TTL(600s)\n", await ClientAsync(server, "lease", "grant", "600", "--id", "1f"));
        Assert.Equal("OK\n", await ClientAsync(server, "put", "a", "1", "--lease", "1f"));
        Assert.Equal("OK\n", await ClientAsync(server, "put", "b", "2", "--ttl", "10m"));
        Assert.StartsWith("found 2 leases\n", await ClientAsync(server, "lease", "list"));
        Assert.Equal("lease 000000000000001f keepalived with TTL(600)\n", await ClientAsync(server, "lease", "keep-alive", "1f", "--once"));
        string left = await ClientAsync(server, "lease", "timetolive", "1f", "--keys");
        Assert.StartsWith("lease 000000000000001f granted with TTL(600s), remaining(", left);
        Assert.EndsWith("s), attached keys([a])\n", left);
        Assert.Equal("lease 000000000000001f revoked\n", await ClientAsync(server, "lease", "revoke", "1f"));
        Assert.Equal("b\n2\n", await ClientAsync(server, "get", "a", "c"));
        Assert.Equal("lease 000000000000001f already expired\n", await ClientAsync(server, "lease", "timetolive", "1f"));
        Assert.Equal("lease 000000000000001f expired or revoked.\n", await ClientAsync(server, "lease", "keep-alive", "1f"));
        (int exitCode, _, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "lease", "revoke", "1f", "--endpoints", server.Endpoint]);
        Assert.Equal((1, "metastore: requested lease not found\n"), (exitCode, errors));
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("one"));
        (int exitCode, _, string errors) = await ChildProcess.RunAsync(
            [.. ProgramPath.Find(), "serve", "--data-dir", _directory.Of("two"), "--listen-client-urls", $"http://{server.Endpoint}"]);
        Assert.Equal(6, exitCode);
        Assert.Equal($"metastore: Cannot listen on {server.Endpoint}: Address already in use\n", errors);
        Assert.False(Directory.Exists(_directory.Of("two"))); // It would belong to a member with this address.
    }

    [Fact]
    public async Task Keys_and_values_are_bytes_not_text()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        foreach (string value in new[] { "377", "376", "357\\277\\275" })
        {
            // A shell, for only a program of bytes can give a program arguments that are no text.
            string put = $"""exec "$@" "$(printf 'k\{value}')" "$(printf 'v\{value}')" """;
            (int exitCode, string output, string errors) = await ChildProcess.RunAsync(["sh", "-c", put, "sh", .. ProgramPath.Find(), "put", "--endpoints", server.Endpoint]);
            Assert.Equal((0, "OK\n", string.Empty), (exitCode, output, errors));
        }

        string json = await ClientAsync(server, "get", "k", "--prefix", "-w", "json");
        foreach (byte[] ending in (byte[][])[[0xff], [0xfe], [0xef, 0xbf, 0xbd]])
        {
            Assert.Contains($"\"key\":\"{Convert.ToBase64String([(byte)'k', .. ending])}\"", json);
            Assert.Contains($"\"value\":\"{Convert.ToBase64String([(byte)'v', .. ending])}\"", json);
        }

        Assert.Equal("OK\n", await ClientAsync(server, [1, (byte)'\n'], "put", "from input"));
        Assert.Equal("from input\n\u0001\n\n", await ClientAsync(server, "get", "from input"));
        Assert.Equal("OK\n", await ClientAsync(server, "put", "at", "@at"));
        Assert.Equal("at\n@at\n", await ClientAsync(server, "get", "at"));
    }

    [Fact]
    public async Task A_write_that_no_leader_took_has_not_been_applied()
    {
        int[] ports = FreePorts.Take(2);
        await using ServerProcess server = await ServerProcess.StartAsync(
        [
            "--name", "a", "--data-dir", _directory.Of("data"), "--listen-client-urls", "http://127.0.0.1:0",
            "--listen-peer-urls", $"http://127.0.0.1:{ports[0]}", "--initial-cluster", $"a=http://127.0.0.1:{ports[0]},b=http://127.0.0.1:{ports[1]}",
        ]);
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [server.Endpoint], RequestTimeout = TimeSpan.FromSeconds(1) });
        MetaStoreException failure = await Assert.ThrowsAsync<MetaStoreException>(
            async () => await client.PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = "v"u8.ToArray() }));
        Assert.Equal((MetaStoreError.NoLeader, Outcome.NotApplied), (failure.Error, failure.Outcome));
        Assert.Contains("There is no leader", failure.Message);

        (int exitCode, _, string errors) = await ChildProcess.RunAsync(
            [.. ProgramPath.Find(), "put", "k", "v", "--endpoints", server.Endpoint, "--command-timeout", "300ms"]);
        Assert.Equal(1, exitCode);
        Assert.Contains("There is no leader", errors);
        Assert.DoesNotContain("applied", errors);
    }

    private static async Task ExerciseAsync(ServerProcess server)
    {
        Assert.Equal("OK\n", await ClientAsync(server, "put", "k1", "v1"));
        Assert.Equal("OK\nk1\nv1\n", await ClientAsync(server, "put", "k1", "v2", "--prev-kv"));
        Assert.Equal("OK\n", await ClientAsync(server, "put", "--", "-k2", "-v"));
        Assert.Equal("OK\n", await ClientAsync(server, [0, 13, 10], "put", "bin", "-"));
        Assert.Equal("1\n", await ClientAsync(server, "get", "k", "l", "--count-only", "--serializable"));
        Assert.Equal("k1\nv1\n", await ClientAsync(server, "get", "k1", "--rev", "2"));
        Assert.Equal("1\n-k2\n-v\n", await ClientAsync(server, "del", "--prev-kv", "--", "-k2"));
        Assert.Equal(string.Empty, await ClientAsync(server, "get", "--", "-k2"));
        const string Txn = "version(\"k1\") = \"2\"\n\nput k3 \"from txn\"\nget k1\n\nget none\n\n";
        Assert.Equal("SUCCESS\n\nOK\n\nk1\nv2\n", await ClientAsync(server, Encoding.UTF8.GetBytes(Txn), "txn"));
        Assert.Equal("k3\nfrom txn\n", await ClientAsync(server, "get", "k3"));
        Assert.Equal("compacted revision 4\n", await ClientAsync(server, "compact", "4"));
        Assert.StartsWith("3 records, ", await ClientAsync(server, "l1\ta\nl2\tb\\nc\nl3\t"u8.ToArray(), "load"));
        Assert.Equal("l1\na\nl2\nb\nc\nl3\n\n", await ClientAsync(server, "get", "l", "--prefix"));
        Assert.Contains("true", await ClientAsync(server, "status"));
        Assert.Contains("\"HashKV\"", await ClientAsync(server, "hash", "-w", "json"));
    }

    private static async Task<string> ClientAsync(ServerProcess server, params string[] arguments) => await ClientAsync(server, [], arguments);

    private static async Task<string> ClientAsync(ServerProcess server, byte[] input, params string[] arguments)
    {
        int verbs = arguments[0] == "lease" ? 2 : 1;
        (int exitCode, string output, string errors) = await ChildProcess.RunAsync(
            [.. ProgramPath.Find(), .. arguments[..verbs], "--endpoints", server.Endpoint, .. arguments[verbs..]], input);
        Assert.Equal((0, string.Empty), (exitCode, errors));
        return output;
    }
}
