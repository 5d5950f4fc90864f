using System.Buffers.Binary;
using System.Net.Sockets;

namespace MetaStore.Net.Connections;

/// <summary>Socket options that .NET has no name for.</summary>
internal static class SocketTuning
{
    private const int LinuxTcp = 6;
    private const int LinuxTcpUserTimeout = 18;

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
}
