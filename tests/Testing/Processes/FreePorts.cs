using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace MetaStore.Testing.Processes;

/// <summary>
/// Ports that nobody listens on, for servers that are started later. They lie below those that Linux gives to outgoing connections, of which one could take a port
/// between now and then; and none is given out twice by this process.
/// </summary>
public static class FreePorts
{
    private const int Lowest = 10_000;
    private const int Highest = 32_000;

    private static readonly ConcurrentDictionary<int, bool> s_taken = new();

    public static int[] Take(int count)
    {
        var ports = new List<int>();
        while (ports.Count < count)
        {
            int port = RandomNumberGenerator.GetInt32(Lowest, Highest);
            if (s_taken.TryAdd(port, true) && IsFree(port))
            {
                ports.Add(port);
            }
        }

        return [.. ports];
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
