using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace MetaStore.Server.Loading;

/// <summary>Reads the lines of a stream; empty ones are passed over.</summary>
internal static class LoadLineReader
{
    /// <summary>Longer than any record the store takes, escapes included.</summary>
    public const int LineBytesMax = 8 << 20;

    /// <exception cref="RefusalException">A line is wrong.</exception>
    public static async IAsyncEnumerable<LoadLine> ReadAsync(Stream stream, Action<long> bytesRead, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        PipeReader reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 << 10, leaveOpen: true));
        long number = 0;
        while (true)
        {
            ReadResult read = await reader.ReadAsync(cancellationToken);
            ReadOnlySequence<byte> buffer = read.Buffer;
            while (TryTakeLine(ref buffer, read.IsCompleted, out ReadOnlySequence<byte> line))
            {
                number++;
                bytesRead(line.Length + 1);
                if (!line.IsEmpty)
                {
                    yield return LoadLine.Parse(line.IsSingleSegment ? line.FirstSpan : line.ToArray(), number);
                }
            }

            if (buffer.Length > LineBytesMax)
            {
                throw new RefusalException(ExitCode.Failed, $"line {number + 1}: it is longer than {LineBytesMax} bytes.");
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        await reader.CompleteAsync();
    }

    private static bool TryTakeLine(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySequence<byte> line)
    {
        if (buffer.PositionOf((byte)'\n') is { } end)
        {
            line = buffer.Slice(0, end);
            buffer = buffer.Slice(buffer.GetPosition(1, end));
            return true;
        }

        // The last line may lack its line feed.
        line = isLast ? buffer : default;
        buffer = isLast ? buffer.Slice(buffer.End) : buffer;
        return isLast && !line.IsEmpty;
    }
}
