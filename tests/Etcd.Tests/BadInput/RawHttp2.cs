using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace MetaStore.Etcd.Tests.BadInput;

/// <summary>A frame of HTTP/2 (RFC 9113, section 4.1).</summary>
internal sealed record Http2Frame(byte Type, byte Flags, int Stream, byte[] Payload)
{
    public const byte Data = 0, Headers = 1, ResetStream = 3, Settings = 4, Ping = 6, GoAway = 7, WindowUpdate = 8, Continuation = 9;
    public const byte EndStream = 1, EndHeaders = 4;

    /// <summary>Of a GOAWAY: why (RFC 9113, section 7).</summary>
    public int Error => BinaryPrimitives.ReadInt32BigEndian(Payload.AsSpan(4));
}

/// <summary>A connection of HTTP/2 whose client does what no client should.</summary>
internal sealed class RawHttp2 : IAsyncDisposable
{
    private const int HeaderBytes = 9;

    private readonly NetworkStream _stream;

    private RawHttp2(NetworkStream stream)
    {
        _stream = stream;
    }

    /// <summary>Says the preface and no settings of its own.</summary>
    public static async Task<RawHttp2> OpenAsync(NetworkStream stream)
    {
        var connection = new RawHttp2(stream);
        await stream.WriteAsync(Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        await connection.SayAsync(Http2Frame.Settings, 0, 0, []);
        return connection;
    }

    /// <summary>The header fields of a call, each as a literal that is not remembered (RFC 7541, section 6.2.2).</summary>
    public static byte[] Call(string path)
    {
        (string Name, string Value)[] fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers")];
        return [.. fields.SelectMany(field => Field(field.Name, field.Value))];
    }

    public static byte[] Field(string name, string value) => [0, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];

    public static byte[] Frame(byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        byte[] frame = [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, 0, 0, 0, 0, .. payload];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        return frame;
    }

    /// <summary>False where the other side takes nothing more.</summary>
    public Task<bool> SayAsync(byte type, byte flags, int stream, byte[] payload) => SayAsync(Frame(type, flags, stream, payload));

    public async Task<bool> SayAsync(byte[] frames)
    {
        try
        {
            await _stream.WriteAsync(frames).AsTask().WaitAsync(Support.Patience);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>The next frame; null at the end, be it orderly or a reset.</summary>
    public async Task<Http2Frame?> HearAsync()
    {
        try
        {
            byte[] header = new byte[HeaderBytes];
            await _stream.ReadExactlyAsync(header).AsTask().WaitAsync(Support.Patience);
            byte[] payload = new byte[(header[0] << 16) | (header[1] << 8) | header[2]];
            await _stream.ReadExactlyAsync(payload).AsTask().WaitAsync(Support.Patience);
            return new Http2Frame(header[3], header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)), payload);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Why the connection was ended; null where nothing was said of that, or, if that is enough, a ping was answered.</summary>
    public async Task<int?> HearWhyItEndedAsync(bool untilPong = false)
    {
        int? why = null;
        while (await HearAsync() is { } frame && !(untilPong && frame.Type == Http2Frame.Ping))
        {
            why = frame.Type == Http2Frame.GoAway ? frame.Error : why;
        }

        return why;
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();
}
