using System.Diagnostics;
using System.Globalization;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Figures;

/// <summary>What a server takes that was given a million keys through Raft and its log, and how long it takes to start again, as others see it from outside.</summary>
internal static class ServerFigures
{
    private const int Keys = 1_000_000;
    private const int Writers = 16;
    private const int PutsInTransaction = 100;
    private const double MebibytesMax = 0.7 * 610; // of etcd 3.4.23 after the same puts
    private const double RestartSecondsMax = 1;

    public static IEnumerable<Figure> Run(string directory)
    {
        string data = Path.Combine(Path.GetFullPath(directory), "server");
        if (Directory.Exists(data))
        {
            Directory.Delete(data, recursive: true);
        }

        yield return new Figure("server_resident_after_1m_puts", FillAsync(data).GetAwaiter().GetResult(), "MiB", MebibytesMax);
        yield return new Figure("server_restart_to_first_read_1m", RestartAsync(data).GetAwaiter().GetResult(), "s", RestartSecondsMax);
    }

    private static Task<ServerProcess> StartAsync(string data) =>
        ServerProcess.StartAsync(["--data-dir", data, "--listen-client-urls", "http://127.0.0.1:0", "--listen-peer-urls", "http://127.0.0.1:0"]);

    /// <summary>From the start of the process, whose predecessor was killed, to the answer to a linearizable read. The best of three.</summary>
    private static async Task<double> RestartAsync(string data)
    {
        double best = double.MaxValue;
        for (int round = 0; round < 3; round++)
        {
            long begin = Stopwatch.GetTimestamp();
            await using ServerProcess server = await StartAsync(data);
            await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [server.Endpoint] });
            RangeResponse answer = await client.RangeAsync(new RangeRequest { Key = TestStore.Key(Keys - 1) });
            best = Math.Min(best, Stopwatch.GetElapsedTime(begin).TotalSeconds);
            if (answer.Items.Count != 1)
            {
                throw new InvalidOperationException("a key that was written is not there after a restart");
            }
        }

        return best;
    }

    private static async Task<double> FillAsync(string data)
    {
        await using ServerProcess server = await StartAsync(data);
        await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [server.Endpoint] });
        int next = 0;
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(async _ =>
        {
            byte[] value = new byte[TestStore.ValueBytes];
            while (true)
            {
                int from = Interlocked.Add(ref next, PutsInTransaction) - PutsInTransaction;
                if (from >= Keys)
                {
                    return;
                }

                StoreRequest[] puts = [.. Enumerable.Range(from, PutsInTransaction).Select(i => new PutRequest { Key = TestStore.Key(i), Value = value })];
                await client.TxnAsync(new TxnRequest { Success = puts });
            }
        }));
        string line = File.ReadLines($"/proc/{server.Child.Id}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line["VmRSS:".Length..].Trim().Split(' ')[0], CultureInfo.InvariantCulture) / 1024.0;
    }
}
