using System.Net;
using System.Net.Sockets;

namespace MetaStore.Server.Serving;

/// <summary>Whether endpoints can be listened on, found out before a start does anything else.</summary>
internal static class EndpointProbe
{
    /// <param name="urls">With the flags that name them.</param>
    /// <exception cref="RefusalException">One port is named twice; the message names both flags.</exception>
    /// <exception cref="SocketException">One of them cannot be had; the message names it.</exception>
    public static void Check(IReadOnlyList<(string Flag, HttpUrl Url)> urls)
    {
        var seen = new List<(string Flag, IPEndPoint EndPoint)>();
        foreach ((string flag, HttpUrl url) in urls)
        {
            IPEndPoint endpoint = url.ToListenEndPoint(flag);
            if (seen.Find(other => Overlap(other.EndPoint, endpoint)) is { Flag: not null } other)
            {
                throw new RefusalException(ExitCode.Usage, $"{flag} names {endpoint}, and {other.Flag} names {other.EndPoint}: each must have a port of its own.");
            }

            Check(endpoint);
            seen.Add((flag, endpoint));
        }
    }

    private static void Check(IPEndPoint endpoint)
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

    /// <summary>Port 0 is whichever is free.</summary>
    private static bool Overlap(IPEndPoint one, IPEndPoint other) =>
        one.Port == other.Port && one.Port != 0 && (one.Address.Equals(other.Address) || IsAny(one) || IsAny(other));

    private static bool IsAny(IPEndPoint endpoint) => endpoint.Address.Equals(IPAddress.Any) || endpoint.Address.Equals(IPAddress.IPv6Any);
}
