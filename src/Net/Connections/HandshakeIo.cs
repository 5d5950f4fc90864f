using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Connections;

/// <summary>Moves the frames of the handshake over a pipe, for both ends. Deadlines are the caller's, by the token.</summary>
internal static class HandshakeIo
{
    public static async ValueTask SendHelloAsync(PipeWriter output, Hello hello, CancellationToken cancellationToken)
    {
        hello.Write(output.GetSpan(Hello.Size));
        output.Advance(Hello.Size);
        await output.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <exception cref="HandshakeRefusedException">These bytes are no handshake of this protocol.</exception>
    /// <exception cref="EndOfStreamException">The other side closed before the end of it.</exception>
    public static async ValueTask<Hello> ReadHelloAsync(PipeReader input, CancellationToken cancellationToken)
    {
        byte[] frame = await ReadFixedAsync(input, Hello.Size, cancellationToken).ConfigureAwait(false);
        return Hello.Read(frame);
    }

    public static async ValueTask SendWelcomeAsync(PipeWriter output, Welcome welcome, CancellationToken cancellationToken)
    {
        welcome.Write(output.GetSpan(welcome.Length));
        output.Advance(welcome.Length);
        await output.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads the answer with its text. A refusal is returned, not thrown: the caller knows what it means to it.</summary>
    /// <exception cref="HandshakeRefusedException">These bytes are no answer of this protocol.</exception>
    /// <exception cref="EndOfStreamException">The other side closed before the end of it.</exception>
    public static async ValueTask<Welcome> ReadWelcomeAsync(PipeReader input, CancellationToken cancellationToken)
    {
        byte[] frame = await ReadFixedAsync(input, Welcome.Size, cancellationToken).ConfigureAwait(false);
        Welcome welcome = Welcome.Read(frame, out int textLength);
        if (textLength == 0)
        {
            return welcome;
        }

        byte[] text = await ReadFixedAsync(input, textLength, cancellationToken, isText: true).ConfigureAwait(false);
        return welcome with { Text = Encoding.UTF8.GetString(text) };
    }

    private static async ValueTask<byte[]> ReadFixedAsync(PipeReader input, int size, CancellationToken cancellationToken, bool isText = false)
    {
        while (true)
        {
            ReadResult result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            if (buffer.Length >= size)
            {
                byte[] frame = buffer.Slice(0, size).ToArray();
                input.AdvanceTo(buffer.GetPosition(size));
                return frame;
            }

            if (!isText)
            {
                // Whoever speaks another protocol waits for an answer before it has sent as much as our frame takes.
                CheckFirstBytes(buffer);
            }

            input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                throw new EndOfStreamException($"The other side closed the connection after {buffer.Length} of the {size} bytes of a handshake.");
            }
        }
    }

    private static void CheckFirstBytes(in ReadOnlySequence<byte> buffer)
    {
        Span<byte> first = stackalloc byte[Handshake.Magic.Length];
        int length = (int)Math.Min(buffer.Length, first.Length);
        buffer.Slice(0, length).CopyTo(first);
        Handshake.CheckMagic(first[..length]);
    }
}
