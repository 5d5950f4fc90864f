using System.CommandLine;
using System.CommandLine.Invocation;
using System.Diagnostics;
using System.Text.Json.Nodes;
using MetaStore.Engine;
using MetaStore.Load;
using MetaStore.Net;

// Exit codes: 0 all went well, 1 wrong flags or no run, 2 the run had errors.
ParseResult parsed = new LoadCommandLine(RunAsync).Root.Parse(args);
if (parsed.Action is ParseErrorAction error)
{
    error.ShowHelp = false; // the one line that names the wrong flag would drown in it
}

return await parsed.InvokeAsync();

static async Task<int> RunAsync(LoadOptions options)
{
    var clients = new List<MetaStoreClient>();
    try
    {
        for (int i = 0; i < options.Connections; i++)
        {
            clients.Add(MetaStoreClient.Connect(new MetaStoreClientOptions
            {
                Endpoints = options.Pin ? [options.Endpoints[i % options.Endpoints.Count]] : options.Endpoints,
                RequestTimeout = options.Timeout,
            }));
        }

        var pool = new byte[(1 << 20) + options.ValueSize]; // random, so that values do not compress
        new Random(options.Seed).NextBytes(pool);
        var deleted = new StrongBox();
        Worker[] workers = [.. Enumerable.Range(0, options.Clients).Select(i => new Worker(i, clients[i % clients.Count], options, pool, deleted))];
        return await MeasureAsync(options, workers);
    }
    catch (Exception e) when (e is MetaStoreException or ArgumentException or IOException)
    {
        await Console.Error.WriteLineAsync($"load: {e.Message}");
        return 1;
    }
    finally
    {
        foreach (MetaStoreClient client in clients)
        {
            await client.DisposeAsync();
        }
    }
}

static async Task<int> MeasureAsync(LoadOptions options, Worker[] workers)
{
    await Task.WhenAll(workers.Take(options.Connections).Select(worker => worker.ConnectAsync()));
    var next = new StrongBox();
    await Task.WhenAll(workers.Select(worker => worker.FillAsync(next)));
    if (options.Operation == "none")
    {
        return 0;
    }

    await Task.WhenAll(workers.Select(worker => Task.Run(() => worker.RunAsync(options.Warmup))));
    foreach (Worker worker in workers)
    {
        worker.Forget();
    }

    Usage before = Usage.Read(options.Pids);
    long start = Stopwatch.GetTimestamp();
    await Task.WhenAll(workers.Select(worker => Task.Run(() => worker.RunAsync(options.Duration))));
    double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
    JsonObject report = Report.Make(options, workers, seconds, before, Usage.Read(options.Pids));
    Console.WriteLine(options.Json ? report.ToJsonString() : string.Join('\n', report.Select(line => $"{line.Key,-18} {line.Value?.ToJsonString()}")));
    return workers.Any(worker => worker.Errors > 0) ? 2 : 0;
}
