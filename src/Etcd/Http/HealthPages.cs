using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using MetaStore.Etcd.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace MetaStore.Etcd.Http;

/// <summary>The pages that load balancers and kubelets ask: <c>/health</c>, <c>/livez</c> and <c>/readyz</c>, the latter two with a page for each check.</summary>
internal sealed class HealthPages
{
    private const string Health = "/health";
    private const string Excluded = "exclude";

    private readonly HealthChecks _checks;
    private readonly Dictionary<string, Check[]> _pages;
    private long _passed;
    private long _failed;

    public HealthPages(HealthChecks checks)
    {
        _checks = checks;
        var localRead = new Check("serializable_read", token => checks.ReadAsync(serializable: true, token));
        _pages = new Dictionary<string, Check[]>(StringComparer.Ordinal)
        {
            ["/livez"] = [localRead],
            ["/readyz"] =
            [
                new Check("data_corruption", checks.DataCorruptionAsync),
                localRead,
                new Check("linearizable_read", token => checks.ReadAsync(serializable: false, token)),
                new Check("non_learner", checks.NonLearnerAsync),
            ],
        };
    }

    /// <summary>Writes how often all was well, and how often not.</summary>
    public void Write(PrometheusText text)
    {
        text.Counter("etcd_server_health_success", "The total number of successful health checks", Volatile.Read(ref _passed));
        text.Counter("etcd_server_health_failures", "The total number of failed health checks", Volatile.Read(ref _failed));
    }

    /// <summary>Whether a path is one of these pages.</summary>
    public bool IsPage(string path) => path == Health || Find(path).Length > 0;

    /// <summary>Answers a request for one of these pages.</summary>
    public Task ServeAsync(IFeatureCollection features, IHttpRequestFeature request) =>
        request.Path == Health ? HealthAsync(features, request) : CheckAsync(features, request, Find(request.Path));

    /// <summary>The checks of a page, all or one; none where it is no page.</summary>
    private Check[] Find(string path)
    {
        int slash = path.IndexOf('/', 1);
        if (!_pages.TryGetValue(slash < 0 ? path : path[..slash], out Check[]? checks))
        {
            return [];
        }

        return slash < 0 ? checks : [.. checks.Where(check => path.AsSpan(slash + 1).SequenceEqual(check.Name))];
    }

    private static CancellationToken Aborted(IFeatureCollection features) => features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted;

    private async Task HealthAsync(IFeatureCollection features, IHttpRequestFeature request)
    {
        Dictionary<string, StringValues> query = QueryHelpers.ParseQuery(request.QueryString);
        bool isLocal = query.TryGetValue("serializable", out StringValues serializable) && serializable is ["true", ..];
        string?[] excluded = query.TryGetValue(Excluded, out StringValues names) ? names.ToArray() : [];
        CancellationToken aborted = Aborted(features);
        string? wrong = await _checks.AlarmsAsync([.. excluded.OfType<string>()], aborted).ConfigureAwait(false);
        wrong ??= isLocal ? null : await _checks.LeaderAsync(aborted).ConfigureAwait(false);
        wrong ??= await _checks.ReadAsync(isLocal, aborted).ConfigureAwait(false);
        Count(wrong is null);
        string text = $$"""{"health":"{{(wrong is null ? "true" : "false")}}","reason":"{{JsonEncodedText.Encode(wrong ?? string.Empty, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}}"}""";
        await HttpReply.SendAsync(features, Status(wrong is null), HttpReply.Json, Encoding.UTF8.GetBytes(text)).ConfigureAwait(false);
    }

    private async Task CheckAsync(IFeatureCollection features, IHttpRequestFeature request, Check[] checks)
    {
        string page = request.Path[1..];
        Dictionary<string, StringValues> query = QueryHelpers.ParseQuery(request.QueryString);
        List<string> excluded = query.TryGetValue(Excluded, out StringValues names) ? [.. names.OfType<string>()] : [];
        CancellationToken aborted = Aborted(features);
        var lines = new StringBuilder();
        bool isWell = true;
        foreach (Check check in checks)
        {
            if (excluded.Remove(check.Name))
            {
                lines.Append($"[+]{check.Name} excluded: ok\n");
                continue;
            }

            string? wrong = await check.Run(aborted).ConfigureAwait(false);
            isWell &= wrong is null;
            lines.Append(wrong is null ? $"[+]{check.Name} ok\n" : $"[-]{check.Name} failed: {wrong}\n");
        }

        if (excluded.Count > 0)
        {
            lines.Append($"warn: some health checks cannot be excluded: no matches for {string.Join(',', excluded.Select(name => $"\"{name}\""))}\n");
        }

        Count(isWell);
        string text = (isWell, query.ContainsKey("verbose")) switch
        {
            (true, false) => "ok\n",
            (true, true) => $"{lines}{page} check passed\n",
            _ => $"{lines}{page} check failed\n",
        };
        await HttpReply.TextAsync(features, Status(isWell), text).ConfigureAwait(false);
    }

    private static int Status(bool isWell) => isWell ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;

    private void Count(bool isWell) => Interlocked.Increment(ref isWell ? ref _passed : ref _failed);

    private sealed record Check(string Name, Func<CancellationToken, ValueTask<string?>> Run);
}
