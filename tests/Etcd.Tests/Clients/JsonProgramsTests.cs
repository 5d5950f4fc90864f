using System.Net;
using System.Text;
using System.Text.Json;

namespace MetaStore.Etcd.Tests.Clients;

/// <summary>What Patroni and APISIX post to the JSON gateway, as they write it, and what they go by in the answers.</summary>
public sealed class JsonProgramsTests : ClientTest
{
    /// <summary>It takes /v3 from etcd 3.4 on, and the members' addresses from the answer.</summary>
    [Fact]
    public async Task Patroni_finds_version_and_members()
    {
        JsonElement version = JsonElement.Parse(await Http.GetStringAsync(new Uri("/version", UriKind.Relative)));
        Assert.True(Version.Parse(version.GetProperty("etcdserver").GetString()!) >= new Version(3, 4, 0));
        Assert.True(Version.Parse(version.GetProperty("etcdcluster").GetString()!) >= new Version(3, 4, 0));
        JsonElement members = (await AskAsync("cluster/member/list", "{}")).GetProperty("members");
        Assert.Equal("http://10.0.0.1:2379", members[0].GetProperty("clientURLs")[0].GetString());
    }

    /// <summary>The leader's key is of the lease that it renews; who wants it puts it where it is not there; who has it puts it where it is still the one that it put.</summary>
    [Fact]
    public async Task Patroni_elects_a_leader_by_a_key_of_a_lease()
    {
        string lease = (await AskAsync("lease/grant", """{"TTL": 30}""")).GetProperty("ID").GetString()!;
        JsonElement taken = await AskAsync("kv/txn", Take("n1", lease));
        Assert.True(taken.GetProperty("succeeded").GetBoolean());
        Assert.False((await AskAsync("kv/txn", Take("n2", lease))).TryGetProperty("succeeded", out _));

        JsonElement read = await AskAsync("kv/range", $$"""{"key": "{{Base64("/service/b/")}}", "range_end": "{{Base64("/service/b0")}}", "serializable": true}""");
        JsonElement leader = read.GetProperty("kvs")[0];
        Assert.Equal(("n1", lease), (Text(leader, "value"), leader.GetProperty("lease").GetString()));
        string revision = leader.GetProperty("mod_revision").GetString()!;

        // Where the key was changed meanwhile, whether it is there at all is asked in the same request.
        string update = $$$"""
            {"compare": [{"target": "MOD", "key": "{{{Base64("/service/b/leader")}}}", "mod_revision": "{{{revision}}}"}],
             "success": [{"request_put": {"key": "{{{Base64("/service/b/leader")}}}", "value": "{{{Base64("n1")}}}", "lease": "{{{lease}}}"}}],
             "failure": [{"request_txn": {"compare": [{"target": "CREATE", "key": "{{{Base64("/service/b/leader")}}}", "create_revision": "0"}],
                                          "success": [{"request_put": {"key": "{{{Base64("/service/b/leader")}}}", "value": "{{{Base64("n1 again")}}}", "lease": "{{{lease}}}"}}]}}]}
            """;
        Assert.True((await AskAsync("kv/txn", update)).GetProperty("succeeded").GetBoolean());
        JsonElement changed = await AskAsync("kv/txn", update);
        Assert.False(changed.TryGetProperty("succeeded", out _));
        Assert.False(changed.GetProperty("responses")[0].GetProperty("response_txn").TryGetProperty("succeeded", out _));

        Assert.Equal("30", (await LineAsync("lease/keepalive", $$"""{"ID": "{{lease}}"}""")).GetProperty("TTL").GetString());
        await AskAsync("lease/revoke", $$"""{"ID": "{{lease}}"}""");
        JsonElement gone = await LineAsync("lease/keepalive", $$"""{"ID": "{{lease}}"}""");
        Assert.False(gone.TryGetProperty("TTL", out _));
        (HttpStatusCode status, JsonElement error) = await PostAsync("kv/put", $$"""{"key": "{{Base64("/service/b/x")}}", "value": "eA==", "lease": "{{lease}}"}""");
        Assert.Equal((HttpStatusCode.NotFound, 5, "etcdserver: requested lease not found"), (status, error.GetProperty("code").GetInt32(), error.GetProperty("error").GetString()));
    }

    [Fact]
    public async Task Patroni_deletes_a_tree_and_watches_it()
    {
        await AskAsync("kv/put", $$"""{"key": "{{Base64("/service/b/members/n1")}}", "value": "{{Base64("{}")}}"}""");
        string revision = (await AskAsync("kv/range", $$"""{"key": "{{Base64("/service/b/")}}", "range_end": "{{Base64("/service/b0")}}"}""")).GetProperty("header").GetProperty("revision").GetString()!;
        using StreamReader watch = await OpenAsync("watch", $$$"""{"create_request": {"key": "{{{Base64("/service/b/")}}}", "range_end": "{{{Base64("/service/b0")}}}", "start_revision": "{{{long.Parse(revision) + 1}}}"}}""");
        Assert.True((await NextAsync(watch)).GetProperty("created").GetBoolean());

        JsonElement deleted = await AskAsync("kv/deleterange", $$"""{"key": "{{Base64("/service/b/")}}", "range_end": "{{Base64("/service/b0")}}"}""");
        Assert.Equal("1", deleted.GetProperty("deleted").GetString());
        JsonElement told = (await NextAsync(watch)).GetProperty("events")[0];
        Assert.Equal(("DELETE", "/service/b/members/n1"), (told.GetProperty("type").GetString(), Text(told.GetProperty("kv"), "key")));
    }

    /// <summary>Names in camel case, numbers as numbers, what was there before.</summary>
    [Fact]
    public async Task Apisix_reads_and_writes_its_configuration()
    {
        JsonElement first = await AskAsync("kv/put", $$"""{"key":"{{Base64("/apisix/routes/1")}}","value":"{{Base64("{\"uri\":\"/\"}")}}","prev_kv":true}""");
        Assert.False(first.TryGetProperty("prev_kv", out _));
        JsonElement second = await AskAsync("kv/put", $$"""{"key":"{{Base64("/apisix/routes/1")}}","value":"{{Base64("{}")}}","prev_kv":true}""");
        Assert.Equal("{\"uri\":\"/\"}", Text(second.GetProperty("prev_kv"), "value"));

        JsonElement read = await AskAsync("kv/range", $$"""{"key":"{{Base64("/apisix/")}}","range_end":"{{Base64("/apisix0")}}"}""");
        long revision = long.Parse(read.GetProperty("kvs")[0].GetProperty("mod_revision").GetString()!);
        string txn = $$$"""
            {"compare":[{"key":"{{{Base64("/apisix/routes/1")}}}","target":"MOD","result":"EQUAL","modRevision":{{{revision}}}}],
             "success":[{"requestPut":{"key":"{{{Base64("/apisix/routes/1")}}}","value":"{{{Base64("new")}}}"}}]}
            """;
        Assert.True((await AskAsync("kv/txn", txn)).GetProperty("succeeded").GetBoolean());
        Assert.False((await AskAsync("kv/txn", txn)).TryGetProperty("succeeded", out _));
        JsonElement deleted = await AskAsync("kv/deleterange", $$"""{"key":"{{Base64("/apisix/routes/1")}}","prev_kv":true}""");
        Assert.Equal("new", Text(deleted.GetProperty("prev_kvs")[0], "value"));
    }

    /// <summary>Told that its revision is compacted, it reads all anew.</summary>
    [Fact]
    public async Task Apisix_watches_and_is_told_of_a_compaction()
    {
        for (int i = 0; i < 3; i++)
        {
            await AskAsync("kv/put", $$"""{"key":"{{Base64("/apisix/routes/1")}}","value":"{{Base64("{}")}}"}""");
        }

        await AskAsync("kv/compaction", """{"revision":"4","physical":true}""");
        using StreamReader late = await OpenAsync("watch", $$$"""{"create_request":{"key":"{{{Base64("/apisix/")}}}","range_end":"{{{Base64("/apisix0")}}}","start_revision":2,"progress_notify":true}}""");
        Assert.True((await NextAsync(late)).GetProperty("created").GetBoolean());
        JsonElement canceled = await NextAsync(late);
        Assert.Equal((true, "4"), (canceled.GetProperty("canceled").GetBoolean(), canceled.GetProperty("compact_revision").GetString()));

        using StreamReader watch = await OpenAsync("watch", $$$"""{"create_request":{"key":"{{{Base64("/apisix/")}}}","range_end":"{{{Base64("/apisix0")}}}","start_revision":4}}""");
        Assert.True((await NextAsync(watch)).GetProperty("created").GetBoolean());
        JsonElement told = (await NextAsync(watch)).GetProperty("events")[0];
        Assert.False(told.TryGetProperty("type", out _)); // A put, which is the default.
        Assert.Equal("4", told.GetProperty("kv").GetProperty("mod_revision").GetString());
    }

    [Fact]
    public async Task Apisix_is_told_that_there_is_no_authentication()
    {
        (HttpStatusCode status, JsonElement error) = await PostAsync("auth/authenticate", """{"name":"root","password":"x"}""");
        Assert.Equal((HttpStatusCode.PreconditionFailed, "etcdserver: authentication is not enabled"), (status, error.GetProperty("error").GetString()));
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static string Text(JsonElement of, string name) => Encoding.UTF8.GetString(of.GetProperty(name).GetBytesFromBase64());

    private static string Take(string name, string lease) => $$$"""
        {"compare": [{"target": "CREATE", "key": "{{{Base64("/service/b/leader")}}}", "create_revision": "0"}],
         "success": [{"request_put": {"key": "{{{Base64("/service/b/leader")}}}", "value": "{{{Base64(name)}}}", "lease": "{{{lease}}}"}}]}
        """;

    private static async Task<JsonElement> NextAsync(StreamReader lines) =>
        JsonElement.Parse(await lines.ReadLineAsync().WaitAsync(Support.Patience) ?? throw new InvalidOperationException("the stream has ended")).GetProperty("result");

    private async Task<JsonElement> AskAsync(string path, string body)
    {
        (HttpStatusCode status, JsonElement answer) = await PostAsync(path, body);
        Assert.True(status == HttpStatusCode.OK, $"{path} {body}: {status} {answer}");
        return answer;
    }

    private async Task<(HttpStatusCode Status, JsonElement Answer)> PostAsync(string path, string body)
    {
        using HttpResponseMessage answer = await Http.PostAsync(new Uri($"/v3/{path}", UriKind.Relative), new StringContent(body, Encoding.UTF8, "application/json"));
        return (answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
    }

    /// <summary>The only answer of a stream that is asked once.</summary>
    private async Task<JsonElement> LineAsync(string path, string body) => (await AskAsync(path, body)).GetProperty("result");

    private async Task<StreamReader> OpenAsync(string path, string body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"/v3/{path}") { Content = new StringContent(body) };
        HttpResponseMessage answer = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).WaitAsync(Support.Patience);
        return new StreamReader(await answer.Content.ReadAsStreamAsync());
    }
}
