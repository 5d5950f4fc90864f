using System.Buffers;
using System.IO.Pipelines;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Server;

/// <summary>
/// One client connection after its handshake: a loop that reads requests and a sender that writes answers. The reader writes what was
/// answered at once itself; what the store answers later comes through the sender's queue.
/// </summary>
internal sealed class ServerConnection : IAnswerTarget, IFrameSource<Answer>
{
    private readonly SocketPipe _pipe;
    private readonly RequestDispatcher _dispatcher;
    private readonly INodeInfo _node;
    private readonly BinaryServerOptions _options;
    private readonly ILogger _logger;
    private readonly long _answerBytesMax;
    private readonly FrameSplitter _splitter;
    private readonly InFlightGate _inFlight;
    private readonly FrameSender<Answer> _sender;
    private readonly ServerWatches _watches;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _draining;

    public ServerConnection(
        SocketPipe pipe, Hello hello, RequestDispatcher dispatcher, INodeInfo node, BinaryServerOptions options, ILogger logger)
    {
        _pipe = pipe;
        _dispatcher = dispatcher;
        _node = node;
        _options = options;
        _logger = logger;
        _answerBytesMax = Math.Min(options.FrameBytesMax, hello.BodyBytesMax);
        _splitter = new FrameSplitter(options.RequestBytesMax);
        _inFlight = new InFlightGate(options.RequestsInFlightMax, options.RequestBytesInFlightMax);
        _sender = new FrameSender<Answer>(pipe.Output, this, options.SendBufferBytes);
        _watches = dispatcher.WatchesOf(options, _answerBytesMax, answer => _sender.Enqueue(answer, schedule: true));
    }

    /// <summary>Ends when the connection is closed. Never fails.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Requests under way.</summary>
    public int RequestsInFlight => _inFlight.Requests;

    /// <summary>Watches under way.</summary>
    public int Watches => _watches.Count;

    /// <summary>Serves until either side closes. Lets no exception out.</summary>
    public async Task DoRequestsAsync()
    {
        try
        {
            await ProcessRequestsAsync().ConfigureAwait(false);
            // The client has closed its half; what it asked before is still answered.
            await _inFlight.WhenIdleAsync().ConfigureAwait(false);
        }
        catch (WireFormatException e)
        {
            _logger.LogWarning("Client {Client} is disconnected: {Reason}", RemoteName, e.Message);
            await SayWhyAsync(e).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Report(e);
        }
        finally
        {
            Close();
            _pipe.Dispose();
            _ended.TrySetResult();
        }
    }

    /// <summary>Sends a frame that nobody asked for; LeaderChanged carries the leader of the moment it is written.</summary>
    public void Notify(FrameKind kind) => _sender.Enqueue(Answer.Notice(kind), schedule: true);

    /// <summary>Takes no new requests, lets the client know, and closes when all is answered and the client has had time to close first.</summary>
    public async Task DrainAsync()
    {
        _draining = true;
        Notify(FrameKind.Goodbye);
        _watches.Close(new MetaStoreException(MetaStoreError.Stopped, "The node is stopping; ask another one."));
        if (await AnsweredAsync().ConfigureAwait(false))
        {
            await Task.WhenAny(_ended.Task, Task.Delay(_options.DrainLinger, _options.TimeProvider)).ConfigureAwait(false);
        }

        Close();
    }

    /// <summary>
    /// Waits until nothing is under way: true. Or until the client has taken nothing of its answers for a while: false. What the store has yet to
    /// answer is waited for without end.
    /// </summary>
    private async Task<bool> AnsweredAsync()
    {
        Task idle = _inFlight.WhenIdleAsync();
        while (!idle.IsCompleted)
        {
            (bool wasWriting, long writes) = (_sender.HasWriter, _pipe.WritesBegun);
            await Task.WhenAny(idle, Task.Delay(_options.DrainLinger, _options.TimeProvider)).ConfigureAwait(false);
            if (!idle.IsCompleted && wasWriting && _sender.HasWriter && _pipe.WritesBegun == writes)
            {
                _logger.LogInformation("Client {Client} takes no answers and is disconnected.", RemoteName);
                return false;
            }
        }

        return true;
    }

    /// <summary>Closes at once.</summary>
    public void Close()
    {
        _watches.Close(reason: null);
        _sender.Close();
        _inFlight.Abort();
        _pipe.Abort();
    }

    void IAnswerTarget.Complete(in Answer answer) => _sender.Enqueue(answer, schedule: true);

    void IFrameSource<Answer>.Encode(Answer answer, PipeWriter output)
    {
        switch (answer.Content)
        {
            case WatchResponse told:
                FrameOutput.WriteWatchAnswer(output, answer.Correlation, told, _answerBytesMax);
                break;
            case SnapshotPart part:
                FrameOutput.WriteSnapshotPart(output, answer.Correlation, part);
                break;
            case CompactedException compacted when answer.Kind == FrameKind.Watch:
                FrameOutput.WriteWatchCompacted(output, answer.Correlation, compacted.CompactRevision);
                break;
            case StoreResponse response:
                FrameOutput.WriteResponse(output, answer.Correlation, response, _answerBytesMax);
                break;
            case MetaStoreException error:
                FrameOutput.WriteError(output, answer.Correlation, error.Error, error.Outcome, error.Message);
                break;
            default:
                EncodeWithoutContent(answer, output);
                break;
        }
    }

    void IFrameSource<Answer>.Flushed(ReadOnlySpan<Answer> items)
    {
        int requests = 0;
        long bytes = 0;
        int told = 0;
        long watchBytes = 0;
        foreach (ref readonly Answer answer in items)
        {
            told += answer.WatchBytes > 0 ? 1 : 0;
            watchBytes += answer.WatchBytes;
            if (answer.RequestBytes != Answer.Unasked)
            {
                requests++;
                bytes += answer.RequestBytes;
            }
        }

        _inFlight.Leave(requests, bytes);
        _watches.Sent(told, watchBytes);
    }

    void IFrameSource<Answer>.SendFailed(Exception exception)
    {
        Report(exception);
        Close();
    }

    private string RemoteName => _pipe.RemoteName;

    private void EncodeWithoutContent(Answer answer, PipeWriter output)
    {
        switch (answer.Kind)
        {
            case FrameKind.Ping:
                FrameOutput.WriteEmpty(output, answer.Correlation, FrameKind.PingAnswer);
                break;
            case FrameKind.LeaderChanged:
                FrameOutput.WriteLeaderChanged(output, _node.LeaderId);
                break;
            case FrameKind.Goodbye:
                FrameOutput.WriteEmpty(output, 0, FrameKind.Goodbye);
                break;
            default:
                Invariant.Fail($"The answer to a request of kind {answer.Kind} has no content.");
                break;
        }
    }

    private async Task ProcessRequestsAsync()
    {
        while (true)
        {
            ReadResult result = await _pipe.Input.ReadAsync().ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (true)
            {
                FrameFound found = _splitter.Next(ref buffer, out FrameHeader header, out ReadOnlySequence<byte> body);
                if (found == FrameFound.Incomplete)
                {
                    break;
                }

                int weight = found == FrameFound.Frame ? (int)header.BodyLength : 0;
                while (!_inFlight.TryEnter(weight))
                {
                    await _sender.DrainAsync().ConfigureAwait(false);
                    await _inFlight.WhenRoomAsync().ConfigureAwait(false);
                }

                Handle(found, header, body);
            }

            _pipe.Input.AdvanceTo(buffer.Start, buffer.End);
            await _sender.DrainAsync().ConfigureAwait(false);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }

    private void Handle(FrameFound found, in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        if (header.Correlation == 0)
        {
            throw new WireFormatException("A request has correlation 0, which belongs to frames that answer nothing.");
        }

        if (found == FrameFound.Frame && ServerWatches.IsOfWatch(header.Kind))
        {
            // A watch may last for ever: it takes no request's place.
            _inFlight.Leave(1, header.BodyLength);
            _watches.Handle(header, body);
            return;
        }

        Answer answer;
        if (found == FrameFound.TooLong)
        {
            answer = RefuseTooLong(header);
        }
        else if (_draining)
        {
            var stopping = new MetaStoreException(MetaStoreError.Stopped, "The node is stopping; ask another one.");
            answer = new Answer(header.Correlation, header.Kind, stopping, (int)header.BodyLength);
        }
        else if (!_dispatcher.TryAnswer(header, body, this, out answer))
        {
            return;
        }

        _sender.Enqueue(answer, schedule: false);
    }

    private Answer RefuseTooLong(in FrameHeader header)
    {
        if (header.BodyLength > (uint)_options.FrameBytesMax)
        {
            throw new WireFormatException(
                $"A frame announces {header.BodyLength} body bytes; a frame carries {_options.FrameBytesMax} at most.", MetaStoreError.RequestTooLarge);
        }

        var error = new MetaStoreException(
            MetaStoreError.RequestTooLarge, $"The request takes {header.BodyLength} bytes; this node takes {_options.RequestBytesMax} at most.");
        return new Answer(header.Correlation, header.Kind, error, RequestBytes: 0);
    }

    /// <summary>The last frame of a connection that cannot go on: an error that belongs to no request.</summary>
    private async Task SayWhyAsync(WireFormatException reason)
    {
        try
        {
            var error = new MetaStoreException(reason.Error, reason.Message, Outcome.Unknown);
            _sender.Enqueue(new Answer(0, FrameKind.Error, error, Answer.Unasked), schedule: false);
            using var patience = new CancellationTokenSource(_options.HandshakeTimeout, _options.TimeProvider);
            await _sender.DrainAsync().WaitAsync(patience.Token).ConfigureAwait(false);
            await _pipe.ShutdownGentlyAsync(patience.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Report(e);
        }
    }

    private void Report(Exception exception)
    {
        if (SocketFailure.Classify(exception) == LoopEnd.Unexpected)
        {
            _logger.LogError(exception, "The connection of client {Client} failed unexpectedly.", RemoteName);
        }
        else
        {
            _logger.LogDebug("The connection of client {Client} ended: {Reason}", RemoteName, exception.Message);
        }
    }
}
