using System.Buffers.Binary;
using System.Net.Sockets;

namespace MetaStore.Etcd.Http;

/// <summary>What the sockets of HTTP clients are set to.</summary>
internal static class HttpSocket
{
    /// <summary>Of a silent connection the other side is asked so often whether it is there, as etcd asks.</summary>
    private const int KeepAliveSeconds = 30;

    /// <summary>So many questions without an answer end it.</summary>
    private const int KeepAliveProbes = 3;

    private const int LinuxTcp = 6;
    private const int LinuxTcpUserTimeout = 18;

    /// <summary>
    /// Answers leave at once; and a client that vanished without a word is found out within two minutes. Where this side has nothing to say to it either, as a watch of a quiet key or an
    /// idle connection of HTTP/1.1, nothing else would tell.
    /// </summary>
    public static void Tune(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, KeepAliveSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, KeepAliveProbes);
    }

    /// <summary>
    /// Ends a connection whose other side takes nothing of what it is sent for so long, as etcd's do: it is gone, or stands still. Only on Linux; elsewhere TCP's own patience holds, which is a quarter
    /// of an hour. Not for HTTP/1.1, where a caller that does not read its answer reads nothing.
    /// </summary>
    public static void SetStallTimeout(Socket socket, TimeSpan timeout)
    {
        if (OperatingSystem.IsLinux() && timeout.TotalMilliseconds <= int.MaxValue)
        {
            Span<byte> milliseconds = stackalloc byte[sizeof(int)];
            BinaryPrimitives.WriteInt32LittleEndian(milliseconds, (int)timeout.TotalMilliseconds);
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpUserTimeout, milliseconds);
        }
    }
}
