using System.Net.Sockets;
using MetaStore.Etcd.Http;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>A client that vanishes without a word is found out.</summary>
public class HttpSocketTests
{
    [Fact]
    public void ASilentClient_IsAskedWhetherItIsThere()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        HttpSocket.Tune(socket);

        Assert.True(socket.NoDelay);
        Assert.NotEqual(0, socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        Assert.Equal(
            (30, 30, 3),
            (Read(SocketOptionName.TcpKeepAliveTime), Read(SocketOptionName.TcpKeepAliveInterval), Read(SocketOptionName.TcpKeepAliveRetryCount)));

        int Read(SocketOptionName option) => (int)socket.GetSocketOption(SocketOptionLevel.Tcp, option)!;
    }
}
