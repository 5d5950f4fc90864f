using System.Net;
using System.Net.Sockets;

namespace MetaStore.Testing.Processes;

/// <summary>One connection through a <see cref="LinkProxy"/>: a socket to each side, and what goes from one to the other.</summary>
internal sealed class LinkConnection : IDisposable
{
    private readonly Socket _source;
    private readonly Socket _target = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _closing;
    private readonly CancellationToken _closed;

    public LinkConnection(Socket source, CancellationToken stopping)
    {
        _source = source;
        _closing = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _closed = _closing.Token;
        foreach (Socket socket in new[] { _source, _target })
        {
            socket.NoDelay = true;

            // A reset: what the cut took from one side must not reach the other as an orderly end.
            socket.LingerState = new LingerOption(true, 0);
        }
    }

    /// <summary>Ends the connection; may be called at any time, from any thread.</summary>
    public void Close()
    {
        try
        {
            _closing.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has ended by itself.
        }
    }

    /// <summary>The first bytes, which say who is calling.</summary>
    public async Task<byte[]> ReadOpeningAsync(int length)
    {
        var opening = new byte[length];
        for (int filled = 0; filled < length;)
        {
            int read = await _source.ReceiveAsync(opening.AsMemory(filled), _closed);
            filled += read > 0 ? read : throw new SocketException((int)SocketError.ConnectionReset);
        }

        return opening;
    }

    /// <summary>Connects to the target and forwards until either side closes.</summary>
    public async Task ForwardAsync(EndPoint target, byte[] opening, LinkGate gate)
    {
        await gate.PassAsync(LinkDirections.Forward, _closed);
        await _target.ConnectAsync(target, _closed);
        await SendAsync(_target, opening);
        Task forward = PumpAsync(_source, _target, gate, LinkDirections.Forward);
        Task backward = PumpAsync(_target, _source, gate, LinkDirections.Backward);
        await Task.WhenAny(forward, backward);
        Close();
        await Task.WhenAll(forward, backward);
    }

    public void Dispose()
    {
        _source.Dispose();
        _target.Dispose();
        _closing.Dispose();
    }

    private async Task PumpAsync(Socket from, Socket to, LinkGate gate, LinkDirections direction)
    {
        var buffer = new byte[32 << 10];
        try
        {
            for (int read = await from.ReceiveAsync(buffer, _closed); read > 0; read = await from.ReceiveAsync(buffer, _closed))
            {
                await gate.PassAsync(direction, _closed);
                await SendAsync(to, buffer.AsMemory(0, read));
            }
        }
        catch (SocketException)
        {
            // As an end.
        }

        // Over a cut link nobody learns that the other side has gone.
        await gate.PassAsync(direction, _closed);
    }

    private async Task SendAsync(Socket to, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await to.SendAsync(bytes, _closed)..];
        }
    }
}
