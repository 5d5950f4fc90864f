using System.Net;
using System.Net.Sockets;
using MetaStore.Net.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Net;

/// <summary>
/// A port that several protocols share. It looks at the first byte of each connection, without taking it, and hands the connection to whoever
/// speaks that. All members may be called from any thread.
/// </summary>
public sealed class ClientPort : IAsyncDisposable
{
    private readonly ClientPortOptions _options;
    private readonly Action<Socket> _binary;
    private readonly Action<Socket> _others;
    private readonly ILogger _logger;
    private readonly SocketListener _listener;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _gate = new();

    /// <summary>Connections that have said nothing yet, those that came first in front. Whoever takes one out owns it.</summary>
    private readonly LinkedList<Socket> _silent = new();

    /// <summary>Prepares a port; <see cref="Start"/> opens it.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="binary">Takes connections of the binary protocol; returns at once and owns the socket.</param>
    /// <param name="others">Takes all others, likewise.</param>
    /// <param name="logger">For what is not a client's fault.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public ClientPort(ClientPortOptions options, Action<Socket> binary, Action<Socket> others, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(binary);
        ArgumentNullException.ThrowIfNull(others);
        options.Validate();
        _options = options;
        _binary = binary;
        _others = others;
        _logger = logger ?? NullLogger.Instance;
        _listener = new SocketListener(options.Endpoint, Sort, _logger);
    }

    /// <summary>Where it listens, with the port it got.</summary>
    /// <exception cref="InvalidOperationException">It does not listen.</exception>
    public EndPoint LocalEndPoint => _listener.LocalEndPoint;

    /// <summary>Begins to listen.</summary>
    /// <exception cref="SocketException">The endpoint cannot be had; the message names it.</exception>
    public void Start() => _listener.Start();

    /// <summary>Stops listening. Connections that have said nothing yet are closed; those that were handed over are not touched.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _listener.DisposeAsync().ConfigureAwait(false);
        // The token source is not disposed: a connection that is being sorted this moment may still look at it.
    }

    /// <summary>
    /// Where there are too many that say nothing, the one that has been silent for longest makes room: whoever speaks does so at once, so that a flood of silent connections
    /// keeps nobody out.
    /// </summary>
    private void Sort(Socket socket)
    {
        LinkedListNode<Socket> place;
        Socket? oldest = null;
        lock (_gate)
        {
            place = _silent.AddLast(socket);
            if (_silent.Count > _options.SilentConnectionsMax)
            {
                oldest = _silent.First!.Value;
                _silent.RemoveFirst();
            }
        }

        oldest?.Dispose();
        _ = DoSortAsync(place); // it lets no exception out
    }

    private async Task DoSortAsync(LinkedListNode<Socket> place)
    {
        Socket socket = place.Value;
        try
        {
            bool? isBinary = await PeekAsync(socket).ConfigureAwait(false);
            if (!TryTake(place))
            {
                return; // It made room for another, and is closed.
            }

            if (isBinary is { } known)
            {
                (known ? _binary : _others)(socket);
                return;
            }
        }
        catch (Exception e) when (SocketFailure.Classify(e) != LoopEnd.Unexpected)
        {
            _logger.LogDebug("A connection has ended before it said anything: {Reason}", e.Message);
        }
        catch (Exception e)
        {
            _logger.LogError(e, "A connection could not be handed over.");
        }

        TryTake(place);
        socket.Dispose();
    }

    private bool TryTake(LinkedListNode<Socket> place)
    {
        lock (_gate)
        {
            if (place.List is null)
            {
                return false;
            }

            _silent.Remove(place);
            return true;
        }
    }

    /// <summary>Whether the connection speaks the binary protocol; null where it ended instead.</summary>
    private async Task<bool?> PeekAsync(Socket socket)
    {
        using var patience = new CancellationTokenSource(_options.FirstByteTimeout, _options.TimeProvider);
        using CancellationTokenRegistration stop = _stopping.Token.Register(static source => ((CancellationTokenSource)source!).Cancel(), patience);
        byte[] first = new byte[1];
        int length = await socket.ReceiveAsync(first.AsMemory(), SocketFlags.Peek, patience.Token).ConfigureAwait(false);
        return length == 0 ? null : BinaryServer.IsBinaryProtocol(first);
    }
}
