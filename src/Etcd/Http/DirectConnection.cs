using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace MetaStore.Etcd.Http;

/// <summary>
/// A connection of HTTP/2 for the HTTP server. A read is a receive: nothing lies between the socket and the server's own pipe. What is written is
/// gathered in a pipe, and a loop sends it, so that the answers of one moment leave together.
/// </summary>
/// <remarks>
/// Only for a server that always reads: the other side's end shows in a read alone. That is so for HTTP/2; in HTTP/1.1 nobody reads while a request is served.
/// </remarks>
internal sealed class DirectConnection : DefaultConnectionContext, IDuplexPipe, IMemoryPoolFeature
{
    // What may wait to be sent before whoever writes waits in turn.
    private const int OutputBytesMax = 64 * 1024;

    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly Pipe _output;
    private readonly Task _sending;
    private readonly Action _ended;
    private readonly List<ArraySegment<byte>> _pieces = [];
    private readonly CancellationTokenSource _closed = new(); // not disposed: who aborts may be late, and without a timer it holds nothing
    private int _isAborted;

    /// <param name="socket">Its own from here on.</param>
    /// <param name="pool">Where buffers come from.</param>
    /// <param name="ended">Called once, when the connection is gone.</param>
    public DirectConnection(Socket socket, MemoryPool<byte> pool, Action ended)
    {
        _socket = socket;
        _ended = ended;
        MemoryPool = pool;
        _stream = new NetworkStream(socket, ownsSocket: false);
        Input = PipeReader.Create(_stream, new StreamPipeReaderOptions(pool, bufferSize: BlockPool.BlockBytes, leaveOpen: true));
        _output = new Pipe(new PipeOptions(
            pool,
            pauseWriterThreshold: OutputBytesMax,
            resumeWriterThreshold: OutputBytesMax / 2,
            minimumSegmentSize: BlockPool.BlockBytes,
            useSynchronizationContext: false));
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Transport = this;
        Features.Set<IMemoryPoolFeature>(this);
        _sending = DoSendAsync();
    }

    /// <inheritdoc/>
    public PipeReader Input { get; }

    /// <inheritdoc/>
    public PipeWriter Output => _output.Writer;

    /// <inheritdoc/>
    public MemoryPool<byte> MemoryPool { get; }

    /// <inheritdoc/>
    /// <remarks>What the system has taken already still goes out, so that the other side may learn why.</remarks>
    public override void Abort(ConnectionAbortedException abortReason)
    {
        if (Interlocked.Exchange(ref _isAborted, 1) == 0)
        {
            _output.Reader.CancelPendingRead();
            Shutdown();
            ThreadPool.UnsafeQueueUserWorkItem(static closed => closed.Cancel(), _closed, preferLocal: false);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await Input.CompleteAsync().ConfigureAwait(false);
        await _output.Writer.CompleteAsync().ConfigureAwait(false);
        await _sending.ConfigureAwait(false); // it lets no exception out
        Shutdown();
        await _stream.DisposeAsync().ConfigureAwait(false);
        _socket.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
        _ended();
    }

    private async Task DoSendAsync()
    {
        Exception? failure = null;
        try
        {
            await ProcessSendAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // That the other side is gone, or takes nothing any more, is no reason that is told: with it the flush of the server's farewell would fail, and it would not come to ending the calls,
            // which it does behind that.
            failure = e is SocketException or ObjectDisposedException ? null : e;
        }

        await _output.Reader.CompleteAsync(failure).ConfigureAwait(false);
        Shutdown();
    }

    private async Task ProcessSendAsync()
    {
        PipeReader reader = _output.Reader;
        while (true)
        {
            ReadResult result = await reader.ReadAsync().ConfigureAwait(false);
            if (result.IsCanceled)
            {
                return;
            }

            ReadOnlySequence<byte> buffer = result.Buffer;
            if (!buffer.IsEmpty)
            {
                await SendAsync(buffer).ConfigureAwait(false);
            }

            reader.AdvanceTo(buffer.End);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }

    private async ValueTask SendAsync(ReadOnlySequence<byte> buffer)
    {
        int sent;
        if (buffer.IsSingleSegment)
        {
            sent = await _socket.SendAsync(buffer.First, SocketFlags.None).ConfigureAwait(false);
        }
        else
        {
            _pieces.Clear();
            foreach (ReadOnlyMemory<byte> piece in buffer)
            {
                bool isArray = MemoryMarshal.TryGetArray(piece, out ArraySegment<byte> segment);
                Invariant.Check(isArray, "The pool's blocks are arrays.");
                _pieces.Add(segment);
            }

            sent = await _socket.SendAsync(_pieces, SocketFlags.None).ConfigureAwait(false);
        }

        Invariant.Check(sent == buffer.Length, "A send ends when the system has taken everything.");
    }

    private void Shutdown()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The other side was first.
        }
    }
}
