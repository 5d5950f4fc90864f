using MetaStore.Etcd.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Http;

/// <summary>The page <c>/metrics</c>: each part writes its figures.</summary>
internal sealed class MetricsPage(IReadOnlyList<Action<PrometheusText>> parts)
{
    public const string Path = "/metrics";

    /// <summary>Answers a request for it.</summary>
    public Task ServeAsync(IFeatureCollection features)
    {
        var text = new PrometheusText();
        foreach (Action<PrometheusText> write in parts)
        {
            write(text);
        }

        return HttpReply.SendAsync(features, StatusCodes.Status200OK, PrometheusText.ContentType, text.ToBytes());
    }
}
