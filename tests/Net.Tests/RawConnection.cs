using System.Net;
using System.Net.Sockets;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net.Tests;

/// <summary>A client of bare bytes, for what the shipped one would never send.</summary>
internal sealed class RawConnection : IDisposable
{
    private readonly NetworkStream _stream;

    private RawConnection(Socket socket) => _stream = new NetworkStream(socket, ownsSocket: true);

    public static Hello ClientHello => new(1, 1, ConnectionRole.Client, 0, 0, NodeId.None, NodeId.None, 16 << 20);

    public static async Task<RawConnection> OpenAsync(EndPoint endpoint, int? receiveBufferBytes = null)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBufferBytes is { } bytes)
        {
            socket.ReceiveBufferSize = bytes;
        }

        await socket.ConnectAsync(endpoint);
        return new RawConnection(socket);
    }

    /// <summary>Connects, and shakes hands as a client.</summary>
    public static async Task<RawConnection> OpenClientAsync(EndPoint endpoint, int? receiveBufferBytes = null)
    {
        RawConnection connection = await OpenAsync(endpoint, receiveBufferBytes);
        Welcome welcome = await connection.ShakeHandsAsync(ClientHello);
        Assert.Equal(HandshakeResult.Accepted, welcome.Result);
        return connection;
    }

    public async Task<Welcome> ShakeHandsAsync(Hello hello)
    {
        var bytes = new byte[Hello.Size];
        hello.Write(bytes);
        return await ShakeHandsAsync(bytes);
    }

    public async Task<Welcome> ShakeHandsAsync(byte[] hello)
    {
        await SendAsync(hello);
        Welcome welcome = Welcome.Read(await ReceiveAsync(Welcome.Size), out int textLength);
        return welcome with { Text = System.Text.Encoding.UTF8.GetString(await ReceiveAsync(textLength)) };
    }

    public async Task SendAsync(byte[] bytes) => await _stream.WriteAsync(bytes);

    public async Task<byte[]> ReceiveAsync(int count)
    {
        var bytes = new byte[count];
        await _stream.ReadExactlyAsync(bytes).AsTask().WaitAsync(Support.Patience);
        return bytes;
    }

    public async Task<(FrameHeader Header, byte[] Body)> ReceiveFrameAsync()
    {
        byte[] head = await ReceiveAsync(FrameHeader.Size);
        Assert.True(FrameHeader.TryRead(new System.Buffers.ReadOnlySequence<byte>(head), out FrameHeader header));
        return (header, await ReceiveAsync((int)header.BodyLength));
    }

    /// <summary>Waits until the other side has closed.</summary>
    public async Task AssertClosedAsync()
    {
        try
        {
            Assert.Equal(0, await _stream.ReadAsync(new byte[1]).AsTask().WaitAsync(Support.Patience));
        }
        catch (IOException)
        {
            Assert.True(true); // a reset is as closed as can be
        }
    }

    public void Dispose() => _stream.Dispose();
}
