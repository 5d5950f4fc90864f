using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MetaStore.Net.Tests;

/// <summary>One port for all: the first byte says whose a connection is, and is still there for its owner.</summary>
public sealed class ClientPortTests : IDisposable
{
    private readonly ConcurrentQueue<(string Door, Socket Socket)> _handed = [];
    private readonly List<Socket> _clients = [];

    [Theory]
    [InlineData("GET / HTTP/1.1", "others")]
    [InlineData("PRI * HTTP/2.0", "others")]
    [InlineData("\u0016\u0003\u0001", "others")]
    [InlineData("\u008dMSE", "binary")]
    [InlineData("\0", "others")]
    public async Task TheFirstByte_SaysWhoseItIs_AndNothingIsTaken(string first, string door)
    {
        await using ClientPort port = Open();
        Socket client = await ConnectAsync(port);
        byte[] bytes = Encoding.Latin1.GetBytes(first);
        await client.SendAsync(bytes);

        await Support.Until(() => !_handed.IsEmpty, "the connection is handed over");

        (string got, Socket socket) = Assert.Single(_handed);
        Assert.Equal(door, got);
        byte[] received = new byte[bytes.Length];
        using var stream = new NetworkStream(socket);
        await stream.ReadExactlyAsync(received).AsTask().WaitAsync(Support.Patience);
        Assert.Equal(bytes, received);
    }

    [Fact]
    public async Task WhoStaysSilent_IsCutOff()
    {
        await using ClientPort port = Open(new ClientPortOptions { Endpoint = s_anywhere, FirstByteTimeout = TimeSpan.FromMilliseconds(20) });
        Socket client = await ConnectAsync(port);

        Assert.Equal(0, await ReceiveAsync(client));
        Assert.Empty(_handed);
    }

    [Fact]
    public async Task WhereTooManyAreSilent_TheOldestMakesRoom_AndWhoSpeaksIsServed()
    {
        await using ClientPort port = Open(new ClientPortOptions { Endpoint = s_anywhere, SilentConnectionsMax = 2 });
        Socket oldest = await ConnectAsync(port);
        Socket[] silent = [await ConnectAsync(port), await ConnectAsync(port)];

        Assert.Equal(0, await ReceiveAsync(oldest));

        foreach (Socket socket in silent)
        {
            await socket.SendAsync("G"u8.ToArray());
        }

        await Support.Until(() => _handed.Count == 2, "both are handed over");
        Assert.All(_handed, handed => Assert.True(handed.Socket.Connected));
    }

    [Fact]
    public async Task AFloodOfSilentConnections_KeepsNobodyOut()
    {
        const int most = 16;
        await using ClientPort port = Open(new ClientPortOptions { Endpoint = s_anywhere, SilentConnectionsMax = most });
        for (int round = 1; round <= 20; round++)
        {
            for (int i = 0; i < most; i++)
            {
                await ConnectAsync(port);
            }

            await (await ConnectAsync(port)).SendAsync("G"u8.ToArray());
            await Support.Until(() => _handed.Count == round, "who speaks is handed over");
        }

        // Of the silent there are as many left as may be beside the last who spoke; all others have been closed.
        await Support.Until(() => _clients.Count(IsClosed) == _clients.Count - _handed.Count - (most - 1), "the oldest have made room");
        foreach ((_, Socket socket) in _handed)
        {
            Assert.Equal(1, await ReceiveAsync(socket));
        }
    }

    [Fact]
    public async Task WhoClosesWithoutAWord_IsNobodys()
    {
        await using ClientPort port = Open();
        Socket client = await ConnectAsync(port);

        client.Shutdown(SocketShutdown.Send);

        Assert.Equal(0, await ReceiveAsync(client));
        Assert.Empty(_handed);
    }

    [Fact]
    public async Task APortThatCloses_TakesTheSilentWithIt_AndLeavesTheOthers()
    {
        ClientPort port = Open();
        Socket silent = await ConnectAsync(port);
        Socket spoken = await ConnectAsync(port);
        await spoken.SendAsync("G"u8.ToArray());
        await Support.Until(() => !_handed.IsEmpty, "the connection is handed over");

        await port.DisposeAsync();

        Assert.Equal(0, await ReceiveAsync(silent));
        await _handed.Single().Socket.SendAsync("x"u8.ToArray());
        Assert.Equal(1, await ReceiveAsync(spoken));
    }

    public void Dispose()
    {
        foreach (Socket socket in _clients.Concat(_handed.Select(handed => handed.Socket)))
        {
            socket.Dispose();
        }
    }

    private static readonly IPEndPoint s_anywhere = new(IPAddress.Loopback, 0);

    private ClientPort Open(ClientPortOptions? options = null)
    {
        var port = new ClientPort(
            options ?? new ClientPortOptions { Endpoint = s_anywhere }, socket => _handed.Enqueue(("binary", socket)), socket => _handed.Enqueue(("others", socket)));
        port.Start();
        return port;
    }

    private async Task<Socket> ConnectAsync(ClientPort port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _clients.Add(socket);
        await socket.ConnectAsync(port.LocalEndPoint);
        return socket;
    }

    /// <summary>Whether the other side has closed it: at its end there is something to read, and it is nothing.</summary>
    private static bool IsClosed(Socket socket) => socket.Poll(0, SelectMode.SelectRead) && socket.Available == 0;

    /// <summary>Bytes received; 0 at the end, be it orderly or a reset.</summary>
    private static async Task<int> ReceiveAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[1].AsMemory(), SocketFlags.None).AsTask().WaitAsync(Support.Patience);
        }
        catch (SocketException)
        {
            return 0;
        }
    }
}
