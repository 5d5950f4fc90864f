using System.Net;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Peers;

/// <summary>
/// Everything that goes to one peer: a bounded queue in front of a connection that is made again whenever it breaks. Messages given in while
/// it is being made wait for it; while the peer rests after a failure they are dropped, for Raft has newer ones by the time it is back.
/// </summary>
internal sealed class PeerSender(
    NodeId peer, EndPoint address, PeerTransportOptions options, Backoff backoff, PeerTraffic traffic, IPeerMessageSink sink, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly List<PeerFrame> _waiting = []; // while connecting
    private readonly CancellationTokenSource _stopping = new();
    private PeerLink? _link;
    private bool _isResting;
    private bool _isFull;
    private int _messages;
    private long _bytes;
    private Task _loop = Task.CompletedTask;
    private string? _lastComplaint; // the loop's

    public NodeId Peer => peer;

    public EndPoint Address => address;

    /// <summary>What goes to the peer, in numbers.</summary>
    public PeerTraffic Traffic => traffic;

    /// <summary>Whether a connection stands.</summary>
    public bool IsConnected
    {
        get
        {
            lock (_gate)
            {
                return _link is not null;
            }
        }
    }

    /// <summary>The traffic so far, and how long a round trip takes now.</summary>
    public PeerFigures Measure()
    {
        PeerLink? link;
        lock (_gate)
        {
            link = _link;
        }

        return traffic.Measure(link is not null, link?.RoundTrip);
    }

    /// <summary>Begins to connect. Of the caller's context nothing goes along: a request may have brought the news of the peer, and the connection outlives it.</summary>
    public void Start()
    {
        using AsyncFlowControl? none = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
        _loop = Task.Run(DoSendAsync, CancellationToken.None);
    }

    public async Task StopAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
    }

    /// <summary>Queues or drops. Never waits.</summary>
    public void Send(GroupId group, Message message)
    {
        PeerFrame frame = PeerFrame.Of(group, message);
        if (frame.BodyLength > options.FrameBytesMax)
        {
            traffic.CountDropped(1);
            logger.LogError(
                "A {Kind} message of {Length} bytes to peer {Peer} is dropped: a frame carries {Max}.", message.Kind, frame.BodyLength, peer, options.FrameBytesMax);
            return;
        }

        bool isNewlyFull = false;
        bool isDropped;
        lock (_gate)
        {
            bool hasRoom = _messages < options.QueueMessagesMax && (_messages == 0 || _bytes + FrameHeader.Size + frame.BodyLength <= options.QueueBytesMax);
            isDropped = _isResting || !hasRoom || !TryQueueUnsynchronized(frame);
            if (!_isResting && !hasRoom)
            {
                isNewlyFull = !_isFull;
                _isFull = true;
            }
        }

        if (isDropped)
        {
            traffic.CountDropped(1);
        }

        if (isNewlyFull)
        {
            logger.LogWarning("The queue to peer {Peer} is full; messages to it are dropped.", peer);
            sink.ReportUnreachable(peer);
        }
    }

    private bool TryQueueUnsynchronized(in PeerFrame frame)
    {
        if (_link is null)
        {
            _waiting.Add(frame);
        }
        else if (!_link.Enqueue(frame))
        {
            return false;
        }

        _messages++;
        _bytes += frame.BodyLength + FrameHeader.Size;
        return true;
    }

    private async Task DoSendAsync()
    {
        int failures = 0;
        while (!_stopping.IsCancellationRequested)
        {
            bool isConnected = false;
            try
            {
                using PeerLink link = await PeerLink.OpenAsync(peer, address, options, sink.DirectoryId, OnFlushed, _stopping.Token).ConfigureAwait(false);
                failures = 0;
                _lastComplaint = null;
                logger.LogInformation("Connected to peer {Peer} at {Address}.", peer, address);
                Attach(link);
                isConnected = true;
                await link.ProcessUntilBrokenAsync(_stopping.Token).ConfigureAwait(false);
            }
            catch (Exception) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Complain(e);
                if (e is HandshakeRefusedException { Result: HandshakeResult.Removed or HandshakeResult.DirectoryReplaced } refused)
                {
                    MemberRefusal refusal = refused.Result == HandshakeResult.Removed ? MemberRefusal.Removed : MemberRefusal.DirectoryReplaced;
                    sink.ReportRefused(peer, refusal, refused.Message);
                }
            }
            finally
            {
                Detach();
            }

            if (isConnected)
            {
                traffic.CountDisconnect();
            }

            sink.ReportUnreachable(peer);
            await RestAsync(backoff.Next(failures++)).ConfigureAwait(false);
        }
    }

    private async Task RestAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, options.TimeProvider, _stopping.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        lock (_gate)
        {
            _isResting = false;
        }
    }

    private void Attach(PeerLink link)
    {
        lock (_gate)
        {
            _link = link;
            foreach (PeerFrame frame in _waiting)
            {
                link.Enqueue(frame);
            }

            _waiting.Clear();
        }
    }

    private void Detach()
    {
        lock (_gate)
        {
            traffic.CountDropped(_messages);
            _link = null;
            _waiting.Clear();
            _messages = 0;
            _bytes = 0;
            _isFull = false;
            _isResting = true;
        }
    }

    private void OnFlushed(PeerLink link, int messages, long bytes)
    {
        traffic.CountSent(bytes);
        lock (_gate)
        {
            if (!ReferenceEquals(link, _link))
            {
                return; // its count went with it
            }

            _messages -= messages;
            _bytes -= bytes;
            _isFull = false;
        }
    }

    /// <summary>The same complaint again and again would bury everything else in the log.</summary>
    private void Complain(Exception exception)
    {
        LoopEnd end = SocketFailure.Classify(exception);
        LogLevel level = exception.Message == _lastComplaint ? LogLevel.Debug
            : end == LoopEnd.Unexpected ? LogLevel.Error
            : LogLevel.Warning;
        _lastComplaint = exception.Message;
        logger.Log(level, "Peer {Peer} at {Address} cannot be reached ({End}): {Reason}", peer, address, end, exception.Message);
    }
}
