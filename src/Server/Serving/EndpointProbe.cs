using System.Net;
using System.Net.Sockets;

namespace MetaStore.Server.Serving;

/// <summary>Whether endpoints can be listened on, found out before a start does anything else.</summary>
internal static class EndpointProbe
{
    /// <exception cref="SocketException">One of them cannot be had; the message names it.</exception>
    public static void Check(IEnumerable<IPEndPoint?> endpoints)
    {
        foreach (IPEndPoint endpoint in endpoints.OfType<IPEndPoint>())
        {
            using var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(endpoint);
            }
            catch (SocketException e)
            {
                throw new SocketException((int)e.SocketErrorCode, $"Cannot listen on {endpoint}: {e.Message}");
            }
        }
    }
}
