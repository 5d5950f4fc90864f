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

    private CancellationTokenSource? _ended;
    private CancellationTokenRegistration _aborted;
    private CancellationTokenRegistration _stopped;
    private bool _mayLast;

    /// <inheritdoc/>
    public override CancellationToken Ended => _ended?.Token ?? aborted;

    /// <summary>Gives the call its end: the caller's deadline, where it has one; and, where it may last for ever, that of the server.</summary>
    public void Limit(TimeSpan? timeout, bool mayLast, TimeProvider time)
    {
        if (timeout is null && !mayLast)
        {
            return;
        }

        // With a deadline of its own rather than linked to one: there is one of these for each call.
        _ended = timeout is { } left ? new CancellationTokenSource(left < s_deadlineMax ? left : s_deadlineMax, time) : new CancellationTokenSource();
        _aborted = aborted.UnsafeRegister(static ended => ((CancellationTokenSource)ended!).Cancel(), _ended);
        _mayLast = mayLast;
        if (mayLast)
        {
            _stopped = stopping.UnsafeRegister(static ended => ((CancellationTokenSource)ended!).Cancel(), _ended);
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
        _aborted.Dispose(); // Ends when nobody cancels any more.
        _stopped.Dispose();
        _ended?.Cancel();
        _ended?.Dispose();
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
        if (aborted.IsCancellationRequested)
        {
            return (StatusCode.Canceled, "context canceled");
        }

        return _mayLast && stopping.IsCancellationRequested
            ? (StatusCode.Unavailable, "etcdserver: server stopped")
            : (StatusCode.DeadlineExceeded, "context deadline exceeded");
    }
}
