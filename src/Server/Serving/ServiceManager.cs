using System.Net.Sockets;
using System.Text;

namespace MetaStore.Server.Serving;

/// <summary>
/// Tells the service manager how the server does, where it asked for that by the variable <c>NOTIFY_SOCKET</c>: units of <c>Type=notify</c>, as distributions have for etcd, count as started
/// only then (systemd's sd_notify protocol).
/// </summary>
/// <param name="address">What the variable says: the path of a datagram socket, or a name behind "@"; null or empty: nobody asked.</param>
internal sealed class ServiceManager(string? address)
{
    /// <summary>The variable.</summary>
    public const string Variable = "NOTIFY_SOCKET";

    /// <summary>It serves.</summary>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    public void TellReady() => Tell("READY=1");

    /// <summary>It finishes what is under way, and ends.</summary>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    public void TellStopping() => Tell("STOPPING=1");

    private void Tell(string state)
    {
        if (string.IsNullOrEmpty(address))
        {
            return;
        }

        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.SendTo(Encoding.ASCII.GetBytes(state), new UnixDomainSocketEndPoint(address[0] == '@' ? '\0' + address[1..] : address));
    }
}
