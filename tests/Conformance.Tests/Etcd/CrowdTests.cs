using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Testing.Grpc;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>
/// Many clients that do nothing, or never read, at a server of its own: its memory stays bounded, others are served, and it leads in the same term all the while. The number of connections is what this
/// process may open, 10,000 at most: each is an open file, and the system limits them.
/// </summary>
public sealed class CrowdTests
{
    private const int ConnectionsMost = 10_000;
    private const int FilesOfOthers = 1_500;
    private const int CrowdLeast = 1_000;
    private const string Put = "/etcdserverpb.KV/Put";

    [Fact]
    public async Task Thousands_of_idle_connections_cost_little_and_hold_up_nobody()
    {
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        IPEndPoint endpoint = IPEndPoint.Parse(server.Endpoint);
        using var client = new GrpcClient(endpoint);
        ulong term = await AskAsync(client);
        long before = ResidentBytes(server);

        // Half of what the server takes of HTTP alone: what lies beyond is closed, and is not what is looked at here.
        int count = Math.Min(ConnectionsMost, (OpenFilesMost() - FilesOfOthers) / 2);
        RequireCrowd(count);
        List<Socket> idle = [];
        try
        {
            for (int i = 0; i < count; i++)
            {
                idle.Add(await ConnectAsync(endpoint, i % 2 == 0 ? "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray() : Http2()));
                if (i % 1000 == 999)
                {
                    Assert.Equal(term, await AskAsync(client));
                }
            }

            Assert.Equal(term, await AskAsync(client));
            Assert.InRange((ResidentBytes(server) - before) / count, long.MinValue, 64 << 10);
            using (var newcomer = new GrpcClient(endpoint))
            {
                Assert.Equal(term, await AskAsync(newcomer));
            }

            foreach (Socket socket in idle.Where((_, i) => i % 500 == 0))
            {
                await socket.SendAsync("GET /version HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
                Assert.StartsWith("HTTP/1.1 200", await ReceiveAsync(socket), StringComparison.Ordinal);
            }
        }
        finally
        {
            idle.ForEach(socket => socket.Dispose());
        }

        Assert.Equal(0, await server.StopAsync());
    }

    [Fact]
    public async Task A_thousand_watches_that_are_never_read_cost_bounded_memory_and_hold_up_nobody()
    {
        const int connections = 50;
        const int watchesEach = 20;
        const int puts = 300;
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        IPEndPoint endpoint = IPEndPoint.Parse(server.Endpoint);
        using var client = new GrpcClient(endpoint);
        ulong term = await AskAsync(client);
        List<GrpcClient> clients = [.. Enumerable.Range(0, connections).Select(_ => new GrpcClient(endpoint, handler => handler.InitialHttp2StreamWindowSize = 1 << 16))];
        List<GrpcStream> streams = [];
        try
        {
            foreach (GrpcClient watcher in clients)
            {
                for (int i = 0; i < watchesEach; i++)
                {
                    GrpcStream stream = watcher.Open("/etcdserverpb.Watch/Watch");
                    stream.Say(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = Key("w"), RangeEnd = Key("x") } });
                    Assert.True((await stream.HearAsync(WatchResponse.Parser))!.Created);
                    streams.Add(stream);
                }
            }

            long before = ResidentBytes(server);
            ByteString value = ByteString.CopyFrom(new byte[64 << 10]);
            for (int i = 0; i < puts; i++)
            {
                GrpcAnswer answer = await client.CallAsync(Put, new PutRequest { Key = Key($"w{i % 10}"), Value = value });
                Assert.True(answer.Status == "0", $"put {i}: {answer.Status} {answer.Message}");
            }

            // 19 MB were written. A copy for each watch would be 19 GB.
            Assert.Equal(term, await AskAsync(client));
            Assert.InRange(ResidentBytes(server) - before, long.MinValue, 1L << 30);

            // Who begins to read misses nothing.
            GrpcStream late = streams[^1];
            int heard = 0;
            while (heard < puts)
            {
                heard += (await late.HearAsync(WatchResponse.Parser))!.Events.Count;
            }

            Assert.Equal(puts, heard);
        }
        finally
        {
            streams.ForEach(stream => stream.Dispose());
            clients.ForEach(watcher => watcher.Dispose());
        }

        Assert.Equal(0, await server.StopAsync());
    }

    [Fact]
    public async Task Silent_connections_beyond_the_most_shut_nobody_out()
    {
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        IPEndPoint endpoint = IPEndPoint.Parse(server.Endpoint);
        using var client = new GrpcClient(endpoint);
        ulong term = await AskAsync(client);
        int count = Math.Min(4_500, OpenFilesMost() - FilesOfOthers);
        RequireCrowd(count);
        List<Socket> silent = [];
        try
        {
            for (int i = 0; i < count; i++)
            {
                silent.Add(await ConnectAsync(endpoint, []));
            }

            // Over a connection of its own, which has to come in through the port.
            using var newcomer = new GrpcClient(endpoint);
            Assert.Equal(term, await AskAsync(newcomer));
        }
        finally
        {
            silent.ForEach(socket => socket.Dispose());
        }

        Assert.Equal(0, await server.StopAsync());
    }

    private static ByteString Key(string text) => ByteString.CopyFromUtf8(text);

    /// <summary>The preface, and settings that say nothing.</summary>
    private static byte[] Http2() => [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 0, 4, 0, 0, 0, 0, 0];

    /// <summary>A write that is answered, and the term in which it was.</summary>
    private static async Task<ulong> AskAsync(GrpcClient client)
    {
        GrpcAnswer answer = await client.CallAsync(Put, new PutRequest { Key = Key("other") });
        Assert.True(answer.Status == "0", $"{answer.Status} {answer.Message}");
        return GrpcClient.Unframe(PutResponse.Parser, answer.Body).Header.RaftTerm;
    }

    /// <summary>Connects, says something, and waits for the beginning of an answer where it said something.</summary>
    private static async Task<Socket> ConnectAsync(IPEndPoint endpoint, byte[] said)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(endpoint);
        if (said.Length > 0)
        {
            await socket.SendAsync(said);
            Assert.NotEmpty(await ReceiveAsync(socket));
        }

        return socket;
    }

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var bytes = new byte[4096];
        int read = await socket.ReceiveAsync(bytes).WaitAsync(Deadline.Generous);
        return Encoding.Latin1.GetString(bytes, 0, read);
    }

    private static void RequireCrowd(int count) => Assert.True(
        count >= CrowdLeast, $"this process may open {OpenFilesMost()} files, too few for a crowd of connections: raise the limit (ulimit -n 20000) and try again");

    private static int OpenFilesMost() => (int)Math.Min(int.MaxValue, Number(File.ReadAllLines("/proc/self/limits"), "Max open files"));

    private static long ResidentBytes(ServerProcess server) => Number(File.ReadAllLines($"/proc/{server.Child.Id}/status"), "VmRSS:") << 10;

    private static long Number(string[] lines, string name) =>
        long.Parse(lines.First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Split(' ', '\t').First(word => word.Length > 0), NumberStyles.None, CultureInfo.InvariantCulture);
}
