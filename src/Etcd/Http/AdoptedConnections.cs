using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;

namespace MetaStore.Etcd.Http;

/// <summary>An address that nobody can connect to: its connections are handed over.</summary>
internal sealed class AdoptedEndPoint(string protocol) : EndPoint
{
    public override string ToString() => $"adopted connections, {protocol}";
}

/// <summary>Gives the HTTP server its connections, which others have accepted: one listener for each protocol.</summary>
internal sealed class AdoptedConnections : IConnectionListenerFactory
{
    private readonly AdoptedListener _http1 = new(new AdoptedEndPoint("HTTP/1.1"));
    private readonly AdoptedListener _http2 = new(new AdoptedEndPoint("HTTP/2"));

    /// <summary>Where the HTTP server is to look for connections of HTTP/1.1.</summary>
    public EndPoint Http1 => _http1.EndPoint;

    /// <summary>Where the HTTP server is to look for connections of HTTP/2.</summary>
    public EndPoint Http2 => _http2.EndPoint;

    /// <summary>Hands a connection over. False where the server takes no more; it stays the caller's.</summary>
    public bool TryHand(ConnectionContext connection, bool isHttp2) => (isHttp2 ? _http2 : _http1).TryHand(connection);

    /// <inheritdoc/>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Invariant.Check(endpoint == Http1 || endpoint == Http2, "A listener is asked for that there is none of.");
        return ValueTask.FromResult<IConnectionListener>(endpoint == Http1 ? _http1 : _http2);
    }

    private sealed class AdoptedListener(EndPoint endPoint) : IConnectionListener
    {
        private readonly Channel<ConnectionContext> _waiting = Channel.CreateUnbounded<ConnectionContext>(new UnboundedChannelOptions { SingleReader = true });

        public EndPoint EndPoint { get; } = endPoint;

        public bool TryHand(ConnectionContext connection) => _waiting.Writer.TryWrite(connection);

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
            await _waiting.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false) && _waiting.Reader.TryRead(out ConnectionContext? connection)
                ? connection
                : null;

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            _waiting.Writer.TryComplete();
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => UnbindAsync(CancellationToken.None);
    }
}
