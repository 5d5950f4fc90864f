using System.Globalization;
using System.Net;
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

    /// <summary>The system says which timer of a connection runs, and when it ends, in hundredths of a second.</summary>
    [SkippableFact]
    public async Task EachConnection_IsSetSo()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "only Linux lists the timers of connections in /proc/net/tcp");
        await using ServedMethods served = await ServedMethods.StartAsync();
        await using NetworkStream client = await served.ConnectAsync();
        string ends = $"{Address(served.EndPoint)} {Address((IPEndPoint)client.Socket.LocalEndPoint!)}";

        await Support.Until(() => KeepAliveDue(ends) is > 0 and <= 3000, "the connection's keep-alive timer runs");
    }

    private static string Address(IPEndPoint end) => $"0100007F:{end.Port:X4}";

    private static int KeepAliveDue(string ends)
    {
        const int TimerField = 5;
        const string KeepAlive = "02:";
        string? line = File.ReadLines("/proc/net/tcp").FirstOrDefault(line => line.Contains(ends, StringComparison.Ordinal));
        string timer = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries)[TimerField] ?? string.Empty;
        return timer.StartsWith(KeepAlive, StringComparison.Ordinal) ? int.Parse(timer[KeepAlive.Length..], NumberStyles.HexNumber, CultureInfo.InvariantCulture) : 0;
    }
}
