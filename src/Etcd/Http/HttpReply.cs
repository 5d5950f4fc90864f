using System.Buffers;
using System.Text;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Http;

/// <summary>Short answers, said as a whole.</summary>
internal static class HttpReply
{
    public const string Json = "application/json";
    public const string Text = "text/plain; charset=utf-8";

    public static Task TextAsync(IFeatureCollection features, int status, string text) => SendAsync(features, status, Text, Encoding.UTF8.GetBytes(text));

    public static Task JsonErrorAsync(IFeatureCollection features, int status, StatusCode code, string message)
    {
        var whole = new ArrayBufferWriter<byte>();
        JsonAnswers.WriteError(whole, code, message);
        return SendAsync(features, status, Json, whole.WrittenMemory);
    }

    public static async Task SendAsync(IFeatureCollection features, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        IHttpResponseFeature response = features.GetRequiredFeature<IHttpResponseFeature>();
        response.StatusCode = status;
        response.Headers.ContentType = contentType;
        response.Headers.ContentLength = body.Length;
        if (!HttpMethods.IsHead(features.GetRequiredFeature<IHttpRequestFeature>().Method))
        {
            await features.GetRequiredFeature<IHttpResponseBodyFeature>().Writer.WriteAsync(body, CancellationToken.None).ConfigureAwait(false);
        }
    }
}
