using System.Net;
using System.Text.Json;

namespace MetaStore.Etcd.Tests.Programs;

/// <summary>The JSON gateway, with bodies written out as its clients write them.</summary>
internal sealed class JsonWay(IPEndPoint endpoint) : IWay
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://{endpoint}") };

    public async Task<long> PutAsync(string key, string value, long lease = 0) =>
        Number((await AskAsync("kv/put", $$"""{"lease":{{lease}},"key":"{{Base64(key)}}","value":"{{Base64(value)}}"}""")).GetProperty("header"), "revision");

    public async Task<long> DeleteAsync(string key) =>
        Number((await AskAsync("kv/deleterange", $$"""{"key":"{{Base64(key)}}"}""")).GetProperty("header"), "revision");

    public async Task<bool> CreateAsync(string key, string value)
    {
        string body = $$$"""
            {"compare":[{"target":"VERSION","key":"{{{Base64(key)}}}","version":"0"}],"success":[{"requestPut":{"key":"{{{Base64(key)}}}","value":"{{{Base64(value)}}}"}}]}
            """;
        return (await AskAsync("kv/txn", body)).TryGetProperty("succeeded", out JsonElement succeeded) && succeeded.GetBoolean();
    }

    public Task GrantAsync(long lease, long seconds) => AskAsync("lease/grant", $$"""{"ID":{{lease}},"TTL":"{{seconds}}"}""");

    public Task RevokeAsync(long lease) => AskAsync("lease/revoke", $$"""{"ID":"{{lease}}"}""");

    public async Task<IReadOnlyList<Item>> ReadAsync(string prefix)
    {
        JsonElement answer = await AskAsync("kv/range", $$"""{"key":"{{Base64(prefix)}}","range_end":"{{Convert.ToBase64String(ByteText.EndOf(prefix))}}"}""");
        return answer.TryGetProperty("kvs", out JsonElement items) ? [.. items.EnumerateArray().Select(ToItem)] : [];
    }

    public async Task<IWayWatch> WatchAsync(string prefix)
    {
        string body = $$$"""{"create_request":{"key":"{{{Base64(prefix)}}}","range_end":"{{{Convert.ToBase64String(ByteText.EndOf(prefix))}}}"}}""";
        var request = new HttpRequestMessage(HttpMethod.Post, "/v3/watch") { Content = new StringContent(body) };
        HttpResponseMessage answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).WaitAsync(Support.Patience);
        var watch = new Watch(new StreamReader(await answer.Content.ReadAsStreamAsync()));
        Assert.True((await watch.NextResultAsync()).GetProperty("created").GetBoolean());
        return watch;
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return ValueTask.CompletedTask;
    }

    private static string Base64(string text) => Convert.ToBase64String(ByteText.ToBytes(text));

    private static Item ToItem(JsonElement kv) =>
        new(Text(kv, "key"), Text(kv, "value"), Number(kv, "create_revision"), Number(kv, "mod_revision"), Number(kv, "version"), Number(kv, "lease"));

    /// <summary>Bytes are in base 64; none where there are none.</summary>
    private static string Text(JsonElement of, string name) => of.TryGetProperty(name, out JsonElement text) ? ByteText.Of(text.GetBytesFromBase64()) : string.Empty;

    /// <summary>Numbers of 64 bits are text; 0 where there is none.</summary>
    private static long Number(JsonElement of, string name) =>
        of.TryGetProperty(name, out JsonElement number) ? long.Parse(number.GetString()!, System.Globalization.CultureInfo.InvariantCulture) : 0;

    private async Task<JsonElement> AskAsync(string path, string body)
    {
        using HttpResponseMessage answer = await _http.PostAsync(new Uri($"/v3/{path}", UriKind.Relative), new StringContent(body));
        string text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{path} {body}: {answer.StatusCode} {text}");
        return JsonElement.Parse(text);
    }

    private sealed class Watch(StreamReader lines) : IWayWatch
    {
        private readonly Queue<Change> _changes = new();

        public async Task<JsonElement> NextResultAsync()
        {
            string line = await lines.ReadLineAsync().WaitAsync(Support.Patience) ?? throw new InvalidOperationException("the watch has ended");
            return JsonElement.Parse(line).GetProperty("result");
        }

        public async Task<Change> NextAsync()
        {
            while (_changes.Count == 0)
            {
                JsonElement result = await NextResultAsync();
                foreach (JsonElement e in result.GetProperty("events").EnumerateArray())
                {
                    bool isDelete = e.TryGetProperty("type", out JsonElement type) && type.GetString() == "DELETE";
                    _changes.Enqueue(new Change(isDelete, ToItem(e.GetProperty("kv"))));
                }
            }

            return _changes.Dequeue();
        }

        public ValueTask DisposeAsync()
        {
            lines.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
