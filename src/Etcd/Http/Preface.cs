using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace MetaStore.Etcd.Http;

/// <summary>What the first bytes of a connection say.</summary>
internal enum PrefaceKind
{
    /// <summary>More bytes are needed.</summary>
    Undecided,

    /// <summary>HTTP/2 with prior knowledge, which is how gRPC begins.</summary>
    Http2,

    /// <summary>Anything else: HTTP/1.1, or what it will answer with an error.</summary>
    Http1,
}

/// <summary>Tells HTTP/2 by its preface (RFC 9113, section 3.4), which was chosen so that no request of HTTP/1.1 begins with it.</summary>
internal static class Preface
{
    private static ReadOnlySpan<byte> Http2 => "PRI * HTTP/2.0\r\n"u8;

    /// <summary>Waits for the first bytes and leaves them in the socket. Undecided where they are too few, or there are none.</summary>
    public static async ValueTask<PrefaceKind> PeekAsync(Socket socket, CancellationToken cancellationToken)
    {
        byte[] first = new byte[Http2.Length];
        int length = await socket.ReceiveAsync(first.AsMemory(), SocketFlags.Peek, cancellationToken).ConfigureAwait(false);
        return Classify(new ReadOnlySequence<byte>(first, 0, length));
    }

    /// <summary>Waits until the first bytes say it, and leaves them where they are. Undecided where they ended before.</summary>
    public static async ValueTask<PrefaceKind> PeekAsync(PipeReader input, CancellationToken cancellationToken)
    {
        long seen = 0;
        while (true)
        {
            ReadResult result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            PrefaceKind kind = Classify(buffer);
            if (kind != PrefaceKind.Undecided || result.IsCompleted)
            {
                // Only what was looked at before counts as looked at: the next reader is to find the rest at once.
                input.AdvanceTo(buffer.Start, buffer.GetPosition(seen));
                return kind;
            }

            seen = buffer.Length;
            input.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    /// <summary>Looks at what has come so far.</summary>
    public static PrefaceKind Classify(in ReadOnlySequence<byte> first)
    {
        Span<byte> bytes = stackalloc byte[Http2.Length];
        int length = (int)Math.Min(first.Length, bytes.Length);
        first.Slice(0, length).CopyTo(bytes);
        if (!Http2.StartsWith(bytes[..length]))
        {
            return PrefaceKind.Http1;
        }

        return length == Http2.Length ? PrefaceKind.Http2 : PrefaceKind.Undecided;
    }
}
