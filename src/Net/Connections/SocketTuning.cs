using System.Buffers.Binary;
using System.Net.Sockets;

namespace MetaStore.Net.Connections;

/// <summary>Socket options that .NET has no name for.</summary>
internal static class SocketTuning
{
    private const int LinuxTcp = 6;
    private const int LinuxTcpUserTimeout = 18;
    private const int LinuxTcpInfo = 11;

    // tcpi_rtt of struct tcp_info: smoothed, in microseconds.
    private const int RoundTripOffset = 68;

    /// <summary>Breaks a connection whose sent bytes stay unacknowledged for so long. Only on Linux; elsewhere TCP's own patience holds.</summary>
    public static void SetStallTimeout(Socket socket, TimeSpan timeout)
    {
        if (OperatingSystem.IsLinux())
        {
            Span<byte> value = stackalloc byte[sizeof(int)];
            BinaryPrimitives.WriteInt32LittleEndian(value, (int)timeout.TotalMilliseconds); // all Linux targets of .NET but s390x
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpUserTimeout, value);
        }
    }

    /// <summary>How long a round trip on the connection takes, smoothed over the last ones. Null where the system does not tell, or the connection is gone.</summary>
    public static TimeSpan? ReadRoundTrip(Socket socket)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            Span<byte> info = stackalloc byte[RoundTripOffset + sizeof(uint)];
            bool isWhole = socket.GetRawSocketOption(LinuxTcp, LinuxTcpInfo, info) == info.Length;
            return isWhole ? TimeSpan.FromMicroseconds(BinaryPrimitives.ReadUInt32LittleEndian(info[RoundTripOffset..])) : null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }
}
