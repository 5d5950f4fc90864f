using System.Runtime.CompilerServices;
using MetaStore.Engine;

namespace MetaStore.Net.Client;

/// <summary>A watch over as many connections as it takes, one after the other.</summary>
internal sealed class RemoteWatch(ClientRouter router, Backoff backoff, MetaStoreClientOptions options, WatchRequest request, CancellationToken stopping)
{
    private readonly TimeProvider _time = options.TimeProvider;
    private readonly WatchCursor _cursor = new(request);

    public async IAsyncEnumerable<WatchResponse> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        string? avoid = null;
        for (int tries = 1; ; tries++)
        {
            (ClientConnection? connection, ClientStream<WatchResponse>? watch, MetaStoreException? failure) = await OpenAsync(avoid, cancellationToken).ConfigureAwait(false);
            if (watch is not null)
            {
                try
                {
                    while (true)
                    {
                        (WatchResponse? response, failure) = await NextAsync(watch, cancellationToken).ConfigureAwait(false);
                        if (response is null)
                        {
                            break;
                        }

                        tries = 0; // This node serves it: whatever comes later is a new failure.
                        if (_cursor.TryTake(response, out WatchResponse told))
                        {
                            yield return told;
                        }
                    }
                }
                finally
                {
                    watch.Leave();
                }
            }

            ThrowIfOver(failure!, tries, start);
            avoid = RetryPolicy.IsOfOneNode(failure!) ? connection?.Endpoint : null;
            if (tries > 0 || avoid is null)
            {
                await Task.Delay(backoff.Next(Math.Max(tries - 1, 0)), _time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>A watch that has begun goes on for as long as it takes; one that nobody takes up fails as a request does.</summary>
    private void ThrowIfOver(MetaStoreException failure, int tries, long start)
    {
        if (stopping.IsCancellationRequested)
        {
            throw new MetaStoreException(MetaStoreError.Stopped, "The client is closed.");
        }

        if (!_cursor.IsCreated && _time.GetElapsedTime(start) >= options.RequestTimeout)
        {
            throw RetryPolicy.GiveUp(failure, tries, options.RequestTimeout, Outcome.NotApplied);
        }
    }

    private bool MayResume(MetaStoreException failure) =>
        RetryPolicy.MayRetry(failure, isRepeatable: true, options.Endpoints.Count) || (_cursor.IsCreated && failure.Error == MetaStoreError.Protocol);

    private async ValueTask<(ClientConnection?, ClientStream<WatchResponse>?, MetaStoreException?)> OpenAsync(string? avoid, CancellationToken cancellationToken)
    {
        ClientConnection? connection = null;
        try
        {
            connection = await router.AcquireAsync(preferLeader: false, avoid, options.RequestTimeout, cancellationToken).ConfigureAwait(false);
            return (connection, connection.OpenWatch(_cursor.Begin()), null);
        }
        catch (MetaStoreException failure) when (MayResume(failure) || stopping.IsCancellationRequested)
        {
            return (connection, null, failure);
        }
    }

    private async ValueTask<(WatchResponse?, MetaStoreException?)> NextAsync(ClientStream<WatchResponse> watch, CancellationToken cancellationToken)
    {
        try
        {
            return (await watch.NextAsync(cancellationToken).ConfigureAwait(false), null);
        }
        catch (MetaStoreException failure) when (MayResume(failure) || stopping.IsCancellationRequested)
        {
            return (null, failure);
        }
    }
}
