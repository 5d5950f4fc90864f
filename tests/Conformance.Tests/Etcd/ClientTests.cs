using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>Clients that others wrote for etcd.</summary>
public sealed class ClientTests
{
    [SkippableFact]
    public async Task A_client_of_the_gateway_in_Python_works()
    {
        const string Python = "/usr/bin/python3";
        Requires.That(File.Exists(Python) && (await ChildProcess.RunAsync([Python, "-c", "import etcd3gw"])).ExitCode == 0, "etcd3gw is missing: apt-get install python3-etcd3gw");
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        foreach (Twin twin in twins.Both)
        {
            string[] address = twin.Endpoint.Split(':');
            (int exitCode, string output, string errors) =
                await ChildProcess.RunAsync([Python, Path.Combine(AppContext.BaseDirectory, "Etcd", "testdata", "gateway_client.py"), address[0], address[1]]);
            Assert.True(exitCode == 0 && output == "32 checks held\n", $"{twin.Name}: {output}{errors}");
        }
    }

    [SkippableFact]
    public async Task Curl_works()
    {
        Requires.Program("curl", "curl");
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        string url = $"http://{server.Endpoint}";
        await Deadline.UntilAsync(async () => (await CurlAsync($"{url}/health")).StartsWith("{\"health\":\"true\"", StringComparison.Ordinal), "the server is healthy");
        Assert.EndsWith("\"revision\":\"2\",\"raft_term\":\"2\"}}", await CurlAsync($"{url}/v3/kv/put", "-d", "{\"key\":\"Zm9v\",\"value\":\"YmFy\"}"));
        Assert.EndsWith("\"value\":\"YmFy\"}],\"count\":\"1\"}", await CurlAsync($"{url}/v3/kv/range", "-X", "POST", "-d", "{\"key\":\"Zm9v\"}"));
        Assert.Contains("etcd_server_has_leader 1\n", await CurlAsync($"{url}/metrics"));
    }

    [SkippableFact]
    public async Task Curl_works_on_every_path_of_the_gateway()
    {
        Requires.Program("curl", "curl");
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        await Deadline.UntilAsync(
            async () => (await CurlAsync($"http://{server.Endpoint}/health")).StartsWith("{\"health\":\"true\"", StringComparison.Ordinal), "the server is healthy");
        string[] rows = await File.ReadAllLinesAsync(Path.Combine(AppContext.BaseDirectory, "Etcd", "testdata", "curl.txt"));
        foreach (string row in rows.Where(row => row.StartsWith('/')))
        {
            string[] cells = row.Split(' ', 4);

            // A stream that has no end is left after what was waited for, at the latest when the time is over.
            string answer = await CurlAsync($"http://{server.Endpoint}/v3{cells[0]}", "--max-time", "3", "--write-out", "[%{http_code}]", "--data", cells[1]);

            Assert.True(answer.Contains(cells[3], StringComparison.Ordinal) && answer.EndsWith($"[{cells[2]}]", StringComparison.Ordinal), $"{row}: {answer}");
        }
    }

    private static async Task<string> CurlAsync(string url, params string[] arguments) => (await ChildProcess.RunAsync(["curl", "--silent", "--noproxy", "*", .. arguments, url])).Output;
}
