using System.Buffers;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Server;

/// <summary>
/// The watches of one connection, and its snapshots. Each has its credit, in bytes, which the client gives back as it takes what was sent; without credit nothing of it is sent, and the
/// others, and the answers to requests, go their way. What all of them have handed to the socket's queue together is bounded as well.
/// </summary>
/// <param name="store">What is watched.</param>
/// <param name="snapshots">Makes the parts of snapshots.</param>
/// <param name="options">Settings of the server.</param>
/// <param name="failures">Turns exceptions into what the client is told.</param>
/// <param name="answerBytesMax">Bytes of one answer that the client takes.</param>
/// <param name="send">Queues an answer to be written.</param>
internal sealed class ServerWatches(
    IMetaStore store, ServerSnapshots snapshots, BinaryServerOptions options, StoreFailures failures, long answerBytesMax, Action<Answer> send)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, ServerWatch> _watches = [];
    private readonly InFlightGate _unsent = new(int.MaxValue, options.WatchBytesUnsentMax);
    private bool _isClosed;

    /// <summary>Watches under way.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _watches.Count;
            }
        }
    }

    public static bool IsOfWatch(FrameKind kind) => kind is FrameKind.Watch or FrameKind.Snapshot or FrameKind.WatchCredit or FrameKind.WatchCancel;

    /// <summary>Handles a frame that is one of a watch.</summary>
    /// <exception cref="WireFormatException">It is not what its kind says.</exception>
    public void Handle(in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        byte[] owned = body.ToArray();
        if (header.Kind is FrameKind.Watch or FrameKind.Snapshot)
        {
            Open(header.Kind, header.Correlation, owned);
            return;
        }

        // One that has ended meanwhile is unknown, which is nobody's fault.
        ServerWatch? watch;
        lock (_gate)
        {
            _watches.TryGetValue(header.Correlation, out watch);
        }

        if (header.Kind == FrameKind.WatchCredit)
        {
            watch?.Grant(WatchCodec.ReadCredit(owned));
        }
        else
        {
            watch?.Leave();
        }
    }

    /// <summary>So much of what the watches had queued is with the socket.</summary>
    public void Sent(int answers, long bytes) => _unsent.Leave(answers, bytes);

    /// <summary>Ends all watches, and lets none begin. Each client's watch is told why, where there is still a way.</summary>
    public void Close(MetaStoreException? reason)
    {
        ServerWatch[] watches;
        lock (_gate)
        {
            _isClosed = true;
            watches = [.. _watches.Values];
            _watches.Clear();
        }

        foreach (ServerWatch watch in watches)
        {
            watch.Leave();
            if (reason is not null)
            {
                send(new Answer(watch.Correlation, FrameKind.Watch, reason, Answer.Unasked));
            }
        }

        if (reason is null)
        {
            _unsent.Abort();
        }
    }

    private void Open(FrameKind kind, ulong correlation, byte[] body)
    {
        ServerWatch watch;
        lock (_gate)
        {
            if (_isClosed)
            {
                Refuse(correlation, MetaStoreError.Stopped, "The node is stopping; ask another one.");
                return;
            }

            if (_watches.Count >= options.WatchesMax)
            {
                Refuse(correlation, MetaStoreError.Busy, $"{options.WatchesMax} watches are under way on this connection; use another one.");
                return;
            }

            uint credit;
            WatchRequest? request = null;
            if (kind == FrameKind.Watch)
            {
                request = WatchCodec.ReadRequest(body, out credit);
            }
            else
            {
                credit = SnapshotCodec.ReadRequest(body);
            }

            watch = new ServerWatch(correlation, request, credit);
            if (!_watches.TryAdd(correlation, watch))
            {
                throw new WireFormatException($"Correlation {correlation} belongs to a watch that is under way.");
            }
        }

        _ = DoWatchAsync(watch); // it lets no exception out
    }

    private void Refuse(ulong correlation, MetaStoreError error, string message) =>
        send(new Answer(correlation, FrameKind.Watch, new MetaStoreException(error, message), Answer.Unasked));

    private async Task DoWatchAsync(ServerWatch watch)
    {
        object? end = null;
        try
        {
            await (watch.Request is { } request ? ProcessWatchAsync(watch, request) : snapshots.ProcessAsync(watch, part => SendAsync(watch, part))).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (watch.IsLeft)
        {
            // The client wants no more, or is gone.
        }
        catch (Exception e)
        {
            end = failures.ToAnswer(e, request: null);
        }

        bool wasMine;
        lock (_gate)
        {
            wasMine = _watches.Remove(watch.Correlation);
        }

        if (end is not null && wasMine)
        {
            send(new Answer(watch.Correlation, FrameKind.Watch, end, Answer.Unasked));
        }
    }

    private async Task ProcessWatchAsync(ServerWatch watch, WatchRequest request)
    {
        await foreach (WatchResponse response in store.WatchAsync(request, watch.Left).ConfigureAwait(false))
        {
            WatchResponse rest = response;
            while (request.Fragment && rest.Events.Count > 1 && WatchCodec.GetLength(rest) > answerBytesMax)
            {
                WatchResponse part = WatchCodec.TakePart(ref rest, answerBytesMax);
                await SendAsync(watch, part).ConfigureAwait(false);
            }

            await SendAsync(watch, rest).ConfigureAwait(false);
        }
    }

    private ValueTask SendAsync(ServerWatch watch, WatchResponse response) => SendAsync(watch, response, (int)Math.Min(WatchCodec.GetLength(response), int.MaxValue));

    private ValueTask SendAsync(ServerWatch watch, SnapshotPart part) => SendAsync(watch, part, SnapshotCodec.PartOverhead + part.Bytes.Length);

    private async ValueTask SendAsync(ServerWatch watch, object content, int bytes)
    {
        await watch.TakeCreditAsync(bytes).ConfigureAwait(false);
        while (!_unsent.TryEnter(bytes))
        {
            await _unsent.WhenRoomAsync().ConfigureAwait(false);
        }

        send(new Answer(watch.Correlation, FrameKind.Watch, content, Answer.Unasked, bytes));
    }
}
