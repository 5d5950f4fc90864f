using System.Net;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Etcd.Tests.Services;

namespace MetaStore.Etcd.Tests.Gateway;

/// <summary>Calls in JSON, and the pages beside them, over connections of HTTP/1.1.</summary>
public class GatewayTests
{
    [Theory]
    [InlineData("/v3/kv/range")]
    [InlineData("/v3beta/kv/range")]
    public async Task ACall_IsAnswered(string path)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(request => new RangeResponse { Count = request.Key.Length }));

        Assert.Equal((HttpStatusCode.OK, """{"count":"3"}"""), await PostAsync(served, path, """{"key":"Zm9v"}"""));
    }

    [Fact]
    public async Task ALargeAnswer_ComesWhole()
    {
        var items = new RangeResponse { Kvs = { Enumerable.Range(0, 2000).Select(_ => new KeyValue { Value = ByteString.CopyFrom(new byte[300]) }) } };
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => items));

        (HttpStatusCode status, string body) = await PostAsync(served, "/v3/kv/range", "{}");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(items, JsonParser.Default.Parse<RangeResponse>(body));
    }

    [Fact]
    public async Task AnAnswerInParts_IsOneObject()
    {
        var parts = new ManyParts(partsMax: 20, failAt: int.MaxValue);
        await using ServedMethods served = await ServedMethods.StartAsync(parts.Method);

        (HttpStatusCode status, string body) = await PostAsync(served, "/v3/kv/range", "{}");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(parts.Merged(), JsonParser.Default.Parse<RangeResponse>(body));
    }

    [Fact]
    public async Task PartsThatFail_CutTheAnswer()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(new ManyParts(partsMax: 5, failAt: 3).Method);

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => PostAsync(served, "/v3/kv/range", "{}"));
    }

    [Theory]
    [InlineData(StatusCode.InvalidArgument, 400)]
    [InlineData(StatusCode.OutOfRange, 400)]
    [InlineData(StatusCode.NotFound, 404)]
    [InlineData(StatusCode.FailedPrecondition, 412)]
    [InlineData(StatusCode.ResourceExhausted, 429)]
    [InlineData(StatusCode.Unauthenticated, 401)]
    [InlineData(StatusCode.PermissionDenied, 403)]
    [InlineData(StatusCode.Unavailable, 503)]
    [InlineData(StatusCode.DeadlineExceeded, 504)]
    [InlineData(StatusCode.Unimplemented, 501)]
    [InlineData(StatusCode.Canceled, 408)]
    [InlineData(StatusCode.AlreadyExists, 409)]
    [InlineData(StatusCode.Unknown, 500)]
    [InlineData(StatusCode.DataLoss, 500)]
    public async Task AFailure_HasAStatusOfHttp(object code, int status)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => throw new RpcException((StatusCode)code, "no \"key\"")));

        Assert.Equal(
            ((HttpStatusCode)status, $$"""{"error":"no \"key\"","message":"no \"key\"","code":{{(int)(StatusCode)code}}}"""),
            await PostAsync(served, "/v3/kv/range", "{}"));
    }

    [Theory]
    [InlineData("POST", "/v3/kv/nothing", 404, """{"error":"Not Found","message":"Not Found","code":5}""")]
    [InlineData("GET", "/v3/kv/range", 405, """{"error":"Method Not Allowed","message":"Method Not Allowed","code":12}""")]
    [InlineData("GET", "/v3alpha/kv/range", 404, "404 page not found\n")]
    [InlineData("POST", "/v3alpha/kv/range", 404, "404 page not found\n")]
    [InlineData("POST", "/readyz/non_learner", 405, "Method Not Allowed\n")]
    [InlineData("GET", "/", 404, "404 page not found\n")]
    [InlineData("GET", "/livezz", 404, "404 page not found\n")]
    [InlineData("GET", "/livez/linearizable_read", 404, "404 page not found\n")]
    [InlineData("POST", "/version", 405, "Method Not Allowed\n")]
    [InlineData("GET", "/version", 200, """{"etcdserver":"3.6.14","etcdcluster":"3.6.0","storage":"3.6.0"}""")]
    public async Task APath_IsKnownOrNot(string method, string path, int status, string body)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => new RangeResponse()));
        using HttpClient client = Client(served);

        using HttpResponseMessage answer = await client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path) { Content = method == "POST" ? new StringContent("{}") : null });

        Assert.Equal(((HttpStatusCode)status, body), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
    }

    [Fact]
    public async Task Metadata_ComesFromHeaders()
    {
        List<string?> seen = [];
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext context) =>
        {
            seen = [context.Metadata("authorization"), context.Metadata("token"), context.Metadata("hasleader")];
            return ValueTask.FromResult(new RangeResponse());
        }));
        using HttpClient client = Client(served);
        client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", "a.7");
        client.DefaultRequestHeaders.Add("Grpc-Metadata-HasLeader", "true");

        await client.PostAsync("/v3/kv/range", new StringContent("{}"));

        Assert.Equal(["a.7", null, "true"], seen);
    }

    [Fact]
    public async Task ADeadline_EndsTheCall()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, async (RangeRequest _, RpcContext context) =>
        {
            await Task.Delay(Timeout.Infinite, context.Ended);
            return new RangeResponse();
        }));
        using HttpClient client = Client(served);
        client.DefaultRequestHeaders.Add("Grpc-Timeout", "10m");

        using HttpResponseMessage answer = await client.PostAsync("/v3/kv/range", new StringContent("{}"));

        Assert.Equal(HttpStatusCode.GatewayTimeout, answer.StatusCode);
        Assert.Equal("""{"error":"context deadline exceeded","message":"context deadline exceeded","code":4}""", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task AStream_IsALineForEachAnswer_AndALastOneWhereItFails()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Duplex(
            Say.KeepAlive,
            LeaseKeepAliveRequest.Parser,
            async (IRpcReader<LeaseKeepAliveRequest> requests, IRpcWriter<LeaseKeepAliveResponse> answers, RpcContext context) =>
            {
                while (await requests.ReadAsync(context.Ended) is { } request)
                {
                    await (request.ID < 0 ? throw new RpcException(StatusCode.NotFound, "no") : answers.WriteAsync(new LeaseKeepAliveResponse { ID = request.ID }, context.Ended));
                }
            }));

        Assert.Equal((HttpStatusCode.OK, "{\"result\":{\"ID\":\"1\"}}\n{\"result\":{\"ID\":\"2\"}}\n"), await PostAsync(served, "/v3/lease/keepalive", "{\"ID\":1}{\"ID\":2}"));
        const string Failure = "{\"error\":{\"grpc_code\":5,\"http_code\":404,\"message\":\"no\",\"http_status\":\"Not Found\",\"code\":5}}\n";
        Assert.Equal((HttpStatusCode.OK, "{\"result\":{\"ID\":\"1\"}}\n" + Failure), await PostAsync(served, "/v3/lease/keepalive", "{\"ID\":1}{\"ID\":-1}"));
        Assert.Equal((HttpStatusCode.NotFound, Failure), await PostAsync(served, "/v3/lease/keepalive", "{\"ID\":-1}"));
    }

    [Fact]
    public async Task ABodyThatIsTooDeep_IsABadRequest()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(
            Range(_ => new RangeResponse()),
            RpcMethod.Duplex(
                Say.KeepAlive,
                LeaseKeepAliveRequest.Parser,
                async (IRpcReader<LeaseKeepAliveRequest> requests, IRpcWriter<LeaseKeepAliveResponse> _, RpcContext context) => await requests.ReadAsync(context.Ended)));
        string body = $"{{\"nobody\":{new string('[', 10_000)}{new string(']', 10_000)}}}";
        const string Words = "invalid character '[' exceeded max depth";

        Assert.Equal((HttpStatusCode.BadRequest, $$"""{"error":"{{Words}}","message":"{{Words}}","code":3}"""), await PostAsync(served, "/v3/kv/range", body));
        Assert.Equal(
            (HttpStatusCode.BadRequest, $$$"""{"error":{"grpc_code":3,"http_code":400,"message":"{{{Words}}}","http_status":"Bad Request","code":3}}""" + "\n"),
            await PostAsync(served, "/v3/lease/keepalive", body));
    }

    [Fact]
    public async Task AnswersOfAStream_AreSentAsTheyCome_AndACallerThatLeavesEndsIt()
    {
        var ended = new TaskCompletionSource();
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Duplex(
            "/etcdserverpb.Watch/Watch",
            WatchRequest.Parser,
            async (IRpcReader<WatchRequest> requests, IRpcWriter<WatchResponse> answers, RpcContext context) =>
            {
                using CancellationTokenRegistration end = context.Ended.Register(ended.SetResult);
                await requests.ReadAsync(context.Ended);
                await answers.WriteAsync(new WatchResponse { Created = true }, context.Ended);
                await ended.Task;
            }));
        using HttpClient client = Client(served);

        HttpResponseMessage answer = await client.SendAsync(
            new HttpRequestMessage(HttpMethod.Post, "/v3/watch") { Content = new StringContent("""{"create_request":{}}""") }, HttpCompletionOption.ResponseHeadersRead);
        using (var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(), Encoding.UTF8))
        {
            Assert.Equal("""{"result":{"created":true}}""", await lines.ReadLineAsync().WaitAsync(Support.Patience));
        }

        answer.Dispose();
        await ended.Task.WaitAsync(Support.Patience);
    }

    [Fact]
    public async Task Health_SaysWhatIsWrong()
    {
        var status = new StatusResponse { Leader = 1 };
        var alarms = new AlarmResponse();
        string? failure = null;
        await using ServedMethods served = await ServedMethods.StartAsync(
            Range(request => failure is null || request.Serializable ? new RangeResponse() : throw new RpcException(StatusCode.Unavailable, failure)),
            RpcMethod.Unary("/etcdserverpb.Maintenance/Status", StatusRequest.Parser, (StatusRequest _, RpcContext _) => ValueTask.FromResult(status)),
            RpcMethod.Unary("/etcdserverpb.Maintenance/Alarm", AlarmRequest.Parser, (AlarmRequest _, RpcContext _) => ValueTask.FromResult(alarms)));
        using HttpClient client = Client(served);

        Assert.Equal((200, """{"health":"true","reason":""}"""), await GetAsync("/health"));
        Assert.Equal((200, "ok\n"), await GetAsync("/readyz"));

        failure = "etcdserver: request timed out";
        Assert.Equal((503, """{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}"""), await GetAsync("/health"));
        Assert.Equal((200, """{"health":"true","reason":""}"""), await GetAsync("/health?serializable=true"));
        Assert.Equal((200, "ok\n"), await GetAsync("/livez"));
        Assert.Equal((503, "[-]linearizable_read failed: RANGE ERROR:etcdserver: request timed out\nreadyz/linearizable_read check failed\n"), await GetAsync("/readyz/linearizable_read"));
        Assert.Equal((200, "ok\n"), await GetAsync("/readyz?exclude=linearizable_read"));

        failure = null;
        status = new StatusResponse { IsLearner = true };
        alarms = new AlarmResponse { Alarms = { new AlarmMember { Alarm = AlarmType.Nospace } } };
        Assert.Equal((503, """{"health":"false","reason":"ALARM NOSPACE"}"""), await GetAsync("/health"));
        Assert.Equal((503, """{"health":"false","reason":"RAFT NO LEADER"}"""), await GetAsync("/health?exclude=NOSPACE"));
        Assert.Equal(
            (503, "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[-]non_learner failed: not supported for learner\nreadyz check failed\n"),
            await GetAsync("/readyz?verbose"));
        Assert.Equal(
            (200, "[+]serializable_read ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nlivez check passed\n"),
            await GetAsync("/livez?verbose&exclude=x"));

        alarms = new AlarmResponse { Alarms = { new AlarmMember { Alarm = AlarmType.Corrupt } } };
        Assert.Equal((503, "[-]data_corruption failed: ALARM CORRUPT\nreadyz/data_corruption check failed\n"), await GetAsync("/readyz/data_corruption"));

        async Task<(int, string)> GetAsync(string path)
        {
            using HttpResponseMessage answer = await client.GetAsync(path);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    private static HttpClient Client(ServedMethods served) => new(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://{served.EndPoint}") };

    private static async Task<(HttpStatusCode Status, string Body)> PostAsync(ServedMethods served, string path, string body)
    {
        using HttpClient client = Client(served);
        using HttpResponseMessage answer = await client.PostAsync(path, new StringContent(body));
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static RpcMethod Range(Func<RangeRequest, RangeResponse> answer) =>
        RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest request, RpcContext _) => ValueTask.FromResult(answer(request)));
}
