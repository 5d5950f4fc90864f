using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Connections;

/// <summary>Listens, and hands each accepted socket over. <paramref name="accepted"/> returns at once and owns the socket.</summary>
internal sealed class SocketListener(IPEndPoint? endpoint, Action<Socket> accepted, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _stopping = new();
    private Socket? _socket;
    private Task _loop = Task.CompletedTask;

    public EndPoint LocalEndPoint => _socket?.LocalEndPoint ?? throw new InvalidOperationException("Nothing listens here; start it first.");

    /// <summary>Begins to listen. Does nothing without an endpoint.</summary>
    /// <exception cref="SocketException">The endpoint cannot be had; the message names it.</exception>
    public void Start()
    {
        if (endpoint is null)
        {
            return;
        }

        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endpoint.Address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(endpoint);
            socket.Listen(backlog: 512);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new SocketException((int)e.SocketErrorCode, $"Cannot listen on {endpoint}: {e.Message}");
        }

        _socket = socket;
        _loop = DoAcceptAsync(socket);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _socket?.Dispose();
        await _loop.ConfigureAwait(false);
    }

    private async Task DoAcceptAsync(Socket socket)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await ProcessAcceptAsync(socket).ConfigureAwait(false);
            }
            catch (Exception e) when (_stopping.IsCancellationRequested || e is ObjectDisposedException)
            {
                return;
            }
            catch (Exception e)
            {
                // Out of file descriptors, or a connection that was reset before it was accepted: the next one may do better.
                logger.LogError(e, "Accepting a connection on {Endpoint} failed; going on.", endpoint);
                await Task.Delay(Breath).ConfigureAwait(false);
            }
        }
    }

    private async Task ProcessAcceptAsync(Socket socket)
    {
        while (true)
        {
            accepted(await socket.AcceptAsync(_stopping.Token).ConfigureAwait(false));
        }
    }
}
