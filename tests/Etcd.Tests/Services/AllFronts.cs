using System.Globalization;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>A node whose methods are called in each way there is: by themselves, by gRPC, and by JSON.</summary>
internal sealed class AllFronts : IAsyncDisposable
{
    private readonly EtcdNode _node;
    private readonly ServedMethods _served;
    private readonly GrpcClient _grpc;
    private readonly HttpClient _http;

    private AllFronts(EtcdNode node, ServedMethods served)
    {
        _node = node;
        _served = served;
        _grpc = new GrpcClient(served.EndPoint);
        _http = new HttpClient { BaseAddress = new Uri($"http://{served.EndPoint}") };
    }

    public static async Task<AllFronts> OverAsync(EtcdNode node) => new(node, await ServedMethods.StartAsync(node.Methods));

    /// <summary>The code and the text that the call fails with, whichever way it comes; where that makes a difference, all of them.</summary>
    public async Task<string> FailsAsync(string path, IMessage request)
    {
        string called = await _node.FailsAsync(path, request);
        string byGrpc = await FailsByGrpcAsync(path, request);
        string byJson = await FailsByJsonAsync(path, request);
        return called == byGrpc && called == byJson ? called : $"{called}; by gRPC {byGrpc}; by JSON {byJson}";
    }

    public async ValueTask DisposeAsync()
    {
        _grpc.Dispose();
        _http.Dispose();
        await _served.DisposeAsync();
    }

    private async Task<string> FailsByGrpcAsync(string path, IMessage request)
    {
        GrpcAnswer answer = await _grpc.CallAsync(path, request);
        return $"{(StatusCode)int.Parse(answer.Status!, CultureInfo.InvariantCulture)}: {Uri.UnescapeDataString(answer.Message!)}";
    }

    private async Task<string> FailsByJsonAsync(string path, IMessage request)
    {
        string route = GatewayRoutes.All.First(route => route.Method == path).Path;
        using var body = new StringContent(JsonFormatter.Default.Format(request), Encoding.UTF8, "application/json");
        using HttpResponseMessage answer = await _http.PostAsync(new Uri($"/v3{route}", UriKind.Relative), body);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());

        // An error that is the answer stands there by itself; one that ends a stream stands in its last message.
        JsonElement error = json.RootElement.GetProperty("error");
        return error.ValueKind == JsonValueKind.String
            ? $"{(StatusCode)json.RootElement.GetProperty("code").GetInt32()}: {json.RootElement.GetProperty("message").GetString()}"
            : $"{(StatusCode)error.GetProperty("grpc_code").GetInt32()}: {error.GetProperty("message").GetString()}";
    }
}
