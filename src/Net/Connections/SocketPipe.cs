using System.IO.Pipelines;
using System.Net.Sockets;

namespace MetaStore.Net.Connections;

/// <summary>
/// A connected socket as a pair of pipe ends. They read and write the socket directly (no copy, no thread in between), so an await on
/// <see cref="Input"/> is a receive and a flush of <see cref="Output"/> is a send.
/// </summary>
internal sealed class SocketPipe : IDisposable
{
    private readonly CountedStream _stream;

    public SocketPipe(Socket socket, int receiveBufferBytes, int sendBufferBytes)
    {
        // Frames are gathered here, one flush each; Nagle's algorithm would only add a delayed acknowledgement to it.
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        Socket = socket;
        RemoteName = socket.RemoteEndPoint?.ToString() ?? "unknown";
        _stream = new CountedStream(socket);
        Input = PipeReader.Create(_stream, new StreamPipeReaderOptions(bufferSize: receiveBufferBytes, minimumReadSize: receiveBufferBytes / 4, leaveOpen: true));
        Output = PipeWriter.Create(_stream, new StreamPipeWriterOptions(minimumBufferSize: sendBufferBytes, leaveOpen: true));
    }

    public Socket Socket { get; }

    /// <summary>Address of the other side, for log lines.</summary>
    public string RemoteName { get; }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    /// <summary>Pieces that were begun to be sent. Each is begun when the socket has taken the one before, so while this moves, the other side reads.</summary>
    public long WritesBegun => _stream.WritesBegun;

    /// <summary>Closes the socket; whoever waits on either end is woken with an exception. May be called from any thread, and twice.</summary>
    public void Abort() => _stream.Dispose();

    /// <summary>
    /// Tells the other side that nothing more comes, and drops what it still sends until it closes too. Closing at once instead would make
    /// the kernel answer unread bytes with a reset, which can overtake, and so destroy, the last frame written.
    /// </summary>
    public async ValueTask ShutdownGentlyAsync(CancellationToken cancellationToken)
    {
        try
        {
            Socket.Shutdown(SocketShutdown.Send);
            while (true)
            {
                ReadResult result = await Input.ReadAsync(cancellationToken).ConfigureAwait(false);
                Input.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    return;
                }
            }
        }
        catch (Exception e) when (SocketFailure.Classify(e) is LoopEnd.ClosedByOther or LoopEnd.ClosedHere)
        {
            // It is being closed either way.
        }
    }

    public void Dispose()
    {
        _stream.Dispose();
        Input.Complete();
    }

    private sealed class CountedStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
    {
        private long _writesBegun; // one writer at a time; others only look

        public long WritesBegun => Volatile.Read(ref _writesBegun);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Volatile.Write(ref _writesBegun, _writesBegun + 1);
            return base.WriteAsync(buffer, cancellationToken);
        }
    }
}
