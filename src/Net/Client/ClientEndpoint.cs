using System.Net;
using MetaStore.Engine;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Client;

/// <summary>
/// One configured endpoint and its connections, which are made when first wanted and replaced when they break. After a failure the endpoint
/// rests for a while that doubles each time. Thread safe.
/// </summary>
internal sealed class ClientEndpoint(
    string name, MetaStoreClientOptions options, Backoff backoff, ClusterPin cluster, Action<NodeId, NodeId> leaderLearned, ILogger logger, CancellationToken stopping)
{
    private readonly Lock _gate = new();
    private readonly EndPoint _address = EndpointText.Parse(name);
    private readonly ClientConnection?[] _connections = new ClientConnection?[options.ConnectionsPerEndpoint];
    private readonly Task<ClientConnection>?[] _connecting = new Task<ClientConnection>?[options.ConnectionsPerEndpoint];
    private ulong _nodeId;
    private uint _turn;
    private int _failures;
    private long _restsUntil;

    public string Name => name;

    /// <summary>The node that answered here last; None before the first time.</summary>
    public NodeId NodeId => new(Volatile.Read(ref _nodeId));

    /// <summary>Why the last attempt to connect failed.</summary>
    public MetaStoreException? LastFailure { get; private set; }

    /// <summary>Whether it failed so lately that it is to be left alone.</summary>
    public bool IsResting => options.TimeProvider.GetTimestamp() < Volatile.Read(ref _restsUntil);

    /// <summary>A connection that works, or null. Missing ones are made in the background.</summary>
    public ClientConnection? Live()
    {
        uint turn = Interlocked.Increment(ref _turn);
        ClientConnection? live = null;
        for (int i = 0; i < _connections.Length; i++)
        {
            int at = (int)((turn + (uint)i) % (uint)_connections.Length);
            ClientConnection? connection = Volatile.Read(ref _connections[at]);
            if (connection is { IsUsable: true })
            {
                live ??= connection;
                if (i == 0)
                {
                    break;
                }
            }
            else if (!IsResting)
            {
                _ = ConnectAsync(at);
            }
        }

        return live;
    }

    /// <summary>Connects, or joins an attempt that is under way.</summary>
    public Task<ClientConnection> ConnectAsync() => ConnectAsync(slot: 0);

    /// <summary>All connections there are.</summary>
    public IEnumerable<ClientConnection> Connections()
    {
        for (int i = 0; i < _connections.Length; i++)
        {
            if (Volatile.Read(ref _connections[i]) is { } connection)
            {
                yield return connection;
            }
        }
    }

    private Task<ClientConnection> ConnectAsync(int slot)
    {
        lock (_gate)
        {
            if (_connections[slot] is { IsUsable: true } live)
            {
                return Task.FromResult(live);
            }

            Task<ClientConnection>? running = _connecting[slot];
            if (running is null || running.IsCompleted)
            {
                running = Task.Run(() => DoConnectAsync(slot), CancellationToken.None);
                // Nobody may be waiting for it.
                _ = running.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
                _connecting[slot] = running;
            }

            return running;
        }
    }

    private async Task<ClientConnection> DoConnectAsync(int slot)
    {
        try
        {
            ClientConnection connection = await ClientConnection.OpenAsync(name, _address, options, cluster, leaderLearned, logger, stopping).ConfigureAwait(false);
            lock (_gate)
            {
                _failures = 0;
                _restsUntil = 0;
                Volatile.Write(ref _nodeId, connection.NodeId.Value);
                Volatile.Write(ref _connections[slot], connection);
            }

            if (stopping.IsCancellationRequested)
            {
                connection.Fail(new MetaStoreException(MetaStoreError.Stopped, "The client is closed."));
            }

            return connection;
        }
        catch (MetaStoreException e)
        {
            lock (_gate)
            {
                TimeSpan rest = backoff.Next(_failures++);
                LastFailure = e;
                Volatile.Write(ref _restsUntil, options.TimeProvider.GetTimestamp() + (long)(rest.TotalSeconds * options.TimeProvider.TimestampFrequency));
            }

            logger.LogDebug("{Endpoint}: {Reason}", name, e.Message);
            throw;
        }
    }
}
