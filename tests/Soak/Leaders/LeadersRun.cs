using System.Diagnostics;
using System.Globalization;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Soak;

/// <summary>
/// Three nodes whose leader changes again and again, under a steady trickle of writes: by request, to a member drawn at random, or by kill -9, after which the node comes
/// back. However often that happens, the next write must go through.
/// </summary>
internal sealed class LeadersRun(LeadersOptions options, TextWriter output)
{
    private const int Size = 3;
    private const int KillOneIn = 5;

    /// <summary>Elections take a second or two; a write that takes as long as this is stuck.</summary>
    private static readonly TimeSpan s_stuck = TimeSpan.FromMinutes(1);

    private readonly Random _random = new(options.Seed);
    private readonly EtcdFlags _flags = new(Size);
    private readonly ServerProcess[] _servers = new ServerProcess[Size];
    private int _moves;
    private int _refused;
    private int _kills;

    /// <summary>The exit code.</summary>
    public async Task<int> RunAsync()
    {
        using var directory = new TestDirectory();
        await Task.WhenAll(Enumerable.Range(0, Size).Select(node => StartAsync(node, directory)));
        try
        {
            await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = _flags.Endpoints, RequestTimeout = TimeSpan.FromSeconds(2) });
            var writer = new SteadyWriter(client, options.Rate);
            using var stop = new CancellationTokenSource();
            Task writing = writer.RunAsync(stop.Token);
            bool isStuck = !await ChangeAsync(client, writer, directory);
            await stop.CancelAsync();
            await writing;
            int wrong = isStuck ? 0 : await writer.CountWrongAsync();
            bool isSame = !isStuck && await HaveSameAsync();
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"minutes={options.Minutes} moves={_moves} refused={_refused} kills={_kills} writes={writer.Writes} slowest_write_ms={writer.Slowest.TotalMilliseconds:F0} stuck={(isStuck ? 1 : 0)} wrong={wrong} hashes={(isSame ? "equal" : "different")} seed={options.Seed}"));
            return isStuck || wrong > 0 || !isSame ? 1 : 0;
        }
        finally
        {
            foreach (ServerProcess server in _servers)
            {
                await server.DisposeAsync();
            }
        }
    }

    private async Task StartAsync(int node, TestDirectory directory)
    {
        _servers[node] = ServerProcess.Launch(_flags.Of(node, directory));
        if (!await _servers[node].WaitUntilItServesAsync())
        {
            throw new InvalidOperationException($"Node {node} ended at its start: {_servers[node].Child.Errors}");
        }
    }

    /// <summary>Changes leaders until the time is over; false where a write was stuck.</summary>
    private async Task<bool> ChangeAsync(MetaStoreClient client, SteadyWriter writer, TestDirectory directory)
    {
        long start = Stopwatch.GetTimestamp();
        using var clock = new PeriodicTimer(TimeSpan.FromSeconds(options.EverySeconds));
        int minute = 0;
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMinutes(options.Minutes))
        {
            await clock.WaitForNextTickAsync(CancellationToken.None);
            if (writer.UnderWay > s_stuck)
            {
                output.WriteLine($"A write has been under way for {writer.UnderWay.TotalSeconds:F0} s.");
                return false;
            }

            await ChangeOnceAsync(client, directory);
            if ((int)Stopwatch.GetElapsedTime(start).TotalMinutes > minute)
            {
                minute = (int)Stopwatch.GetElapsedTime(start).TotalMinutes;
                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"minute={minute} moves={_moves} kills={_kills} writes={writer.Writes} slowest_write_ms={writer.Slowest.TotalMilliseconds:F0}"));
            }
        }

        await Deadline.UntilAsync(() => writer.UnderWay < s_stuck, "the last change lets a write through", s_stuck);
        return true;
    }

    private async Task ChangeOnceAsync(MetaStoreClient client, TestDirectory directory)
    {
        try
        {
            StatusResponse status = await client.StatusAsync();
            if (status.LeaderId == 0)
            {
                _refused++;
                return;
            }

            Member[] others = [.. status.Members.Where(member => member.Id != status.LeaderId)];
            if (_random.Next(KillOneIn) > 0)
            {
                await client.MoveLeaderAsync(others[_random.Next(others.Length)].Id);
                _moves++;
                return;
            }

            string name = status.Members.Single(member => member.Id == status.LeaderId).Name;
            int leader = Enumerable.Range(0, Size).Single(node => EtcdFlags.NameOf(node) == name);
            await _servers[leader].DisposeAsync(); // kill -9
            _kills++;
            await StartAsync(leader, directory);
        }
        catch (MetaStoreException)
        {
            _refused++; // Nobody leads at the moment, or the member asked for has not caught up.
        }
    }

    private async Task<bool> HaveSameAsync()
    {
        await using var any = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = _flags.Endpoints });
        Revision revision = (await any.RangeAsync(new RangeRequest { Key = "soak/"u8.ToArray() })).Header.Revision;
        var hashes = new HashSet<uint>();
        foreach (string endpoint in _flags.Endpoints)
        {
            await using var one = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [endpoint] });
            await one.RangeAsync(new RangeRequest { Key = "soak/"u8.ToArray() }); // it has everything up to here then
            hashes.Add((await one.HashAsync(new HashRequest(revision))).Hash);
        }

        return hashes.Count == 1;
    }
}
