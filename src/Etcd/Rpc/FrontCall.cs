using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace MetaStore.Etcd.Rpc;

/// <summary>What all calls have in common that come over HTTP: when they end, and why they ended.</summary>
internal abstract class FrontCall(CancellationToken aborted, CancellationToken stopping) : RpcContext, IDisposable
{
    /// <summary>The longest time that a timer takes; a deadline beyond is as good as none.</summary>
    private static readonly TimeSpan s_deadlineMax = TimeSpan.FromDays(49);

    private CancellationTokenSource? _deadline;
    private CancellationTokenSource? _ended;

    /// <inheritdoc/>
    public override CancellationToken Ended => _ended?.Token ?? aborted;

    /// <summary>Gives the call its end: the caller's deadline, where it has one; and, for a stream, which would last for ever, that of the server.</summary>
    public void Limit(TimeSpan? timeout, bool isStream, TimeProvider time)
    {
        if (timeout is { } left)
        {
            _deadline = new CancellationTokenSource(left < s_deadlineMax ? left : s_deadlineMax, time);
        }

        if (_deadline is not null || isStream)
        {
            _ended = CancellationTokenSource.CreateLinkedTokenSource(aborted, _deadline?.Token ?? default, isStream ? stopping : default);
        }
    }

    /// <summary>With what status a call ends that failed like this. What nobody foresaw is logged.</summary>
    public (StatusCode Code, string Message) Explain(Exception exception, ServedMethod served, ILogger logger)
    {
        switch (exception)
        {
            case RpcException told:
                return (told.Code, told.Message);
            case Exception when Ended.IsCancellationRequested:
                return WhyEnded();
            case IOException or BadHttpRequestException or OperationCanceledException:
                // The stream was reset, its connection broke, or its body came too slowly.
                return (StatusCode.Canceled, "context canceled");
            default:
                logger.LogError(exception, "A call of {Method} failed unexpectedly.", served.Method.Path);
                return (StatusCode.Internal, $"the call failed: {exception.Message}");
        }
    }

    /// <summary>Tells whoever still works for the call that it is over.</summary>
    public void Dispose()
    {
        _ended?.Cancel();
        _ended?.Dispose();
        _deadline?.Dispose();
    }

    /// <summary>The first value of a header; null where there is none. Values are UTF-8, and bytes that are none come as U+FFFD.</summary>
    protected static string? Header(IHeaderDictionary headers, string name)
    {
        if (!headers.TryGetValue(name, out StringValues values) || values.Count == 0 || values[0] is not { } value)
        {
            return null;
        }

        // The server reads headers as Latin-1, which keeps their bytes.
        return Ascii.IsValid(value) ? value : Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(value));
    }

    private (StatusCode Code, string Message) WhyEnded()
    {
        if (_deadline is { IsCancellationRequested: true })
        {
            return (StatusCode.DeadlineExceeded, "context deadline exceeded");
        }

        return stopping.IsCancellationRequested && !aborted.IsCancellationRequested
            ? (StatusCode.Unavailable, "etcdserver: server stopped")
            : (StatusCode.Canceled, "context canceled");
    }
}
