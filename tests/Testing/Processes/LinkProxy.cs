using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace MetaStore.Testing.Processes;

/// <summary>
/// Stands in front of one endpoint and forwards connections to it; the way from each source can be cut, and healed again. A peer endpoint has
/// one address for all its callers, so who calls is taken from the hello, whose first 40 bytes are the same in every version: magic at 0, the
/// caller's node id at 32 (docs/PROTOCOL.md). Clients have no id: all of them are source 0.
/// </summary>
public sealed class LinkProxy : IAsyncDisposable
{
    /// <summary>The source of connections that do not say who calls.</summary>
    public const ulong Anybody = 0;

    private const int MagicSize = 8;
    private const int NodeIdOffset = 32;
    private const int OpeningSize = NodeIdOffset + sizeof(ulong);

    private readonly TcpListener _listener;
    private readonly IPEndPoint _target;
    private readonly bool _readsHello;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<ulong, LinkGate> _gates = new();
    private readonly ConcurrentDictionary<Task, bool> _connections = new();
    private readonly Task _accepting;

    private LinkProxy(int port, int targetPort, bool readsHello)
    {
        _listener = new TcpListener(IPAddress.Loopback, port);
        _target = new IPEndPoint(IPAddress.Loopback, targetPort);
        _readsHello = readsHello;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    private static ReadOnlySpan<byte> Magic => [0x8D, (byte)'M', (byte)'S', (byte)'E', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>In front of a peer port: callers are told apart.</summary>
    public static LinkProxy OfPeers(int port, int targetPort) => new(port, targetPort, readsHello: true);

    /// <summary>In front of any port: all callers are one.</summary>
    public static LinkProxy OfAnybody(int port, int targetPort) => new(port, targetPort, readsHello: false);

    /// <summary>Cuts the way from a source; a second cut takes the place of the first.</summary>
    public void Cut(ulong source, LinkCut cut, LinkDirections directions = LinkDirections.Both) => Gate(source).Cut(cut, directions);

    /// <summary>Opens all ways again.</summary>
    public void Heal()
    {
        foreach (LinkGate gate in _gates.Values)
        {
            gate.Heal();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _stopping.Dispose();
    }

    private LinkGate Gate(ulong source) => _gates.GetOrAdd(source, _ => new LinkGate());

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                Task connection = DoForwardAsync(await _listener.AcceptSocketAsync(_stopping.Token));
                _connections.TryAdd(connection, true);
                _ = connection.ContinueWith(ended => _connections.TryRemove(ended, out _), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // The caller has gone again, or the proxy stops.
            }
        }
    }

    private async Task DoForwardAsync(Socket source)
    {
        using var connection = new LinkConnection(source, _stopping.Token);
        try
        {
            byte[] opening = _readsHello ? await connection.ReadOpeningAsync(OpeningSize) : [];
            if (_readsHello && !opening.AsSpan(0, MagicSize).SequenceEqual(Magic))
            {
                return;
            }

            LinkGate gate = Gate(_readsHello ? BinaryPrimitives.ReadUInt64LittleEndian(opening.AsSpan(NodeIdOffset)) : Anybody);
            if (gate.TryEnter(connection))
            {
                try
                {
                    await connection.ForwardAsync(_target, opening, gate);
                }
                finally
                {
                    gate.Leave(connection);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // Connections end that way here; each side makes a new one.
        }
    }
}
