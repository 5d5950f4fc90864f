using System.Buffers;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Connections;

/// <summary>What <see cref="FrameSplitter"/> found at the start of what has arrived.</summary>
internal enum FrameFound
{
    /// <summary>Not enough bytes yet.</summary>
    Incomplete,

    /// <summary>A whole frame.</summary>
    Frame,

    /// <summary>A header whose body is longer than this side takes; the body is passed over as it arrives.</summary>
    TooLong,
}

/// <summary>
/// Cuts what a connection receives into frames. Lengths are held against the limit before anything waits for, or is allocated for, the
/// body. One per connection; not thread safe.
/// </summary>
internal sealed class FrameSplitter(int bodyBytesMax)
{
    private long _skipLeft;

    /// <summary>
    /// Takes the next frame off the start of <paramref name="buffer"/>, which is advanced past what was consumed.
    /// <paramref name="body"/> still lies in the buffer.
    /// </summary>
    /// <exception cref="WireFormatException">The bytes are not a frame, or were damaged: the connection cannot go on.</exception>
    public FrameFound Next(ref ReadOnlySequence<byte> buffer, out FrameHeader header, out ReadOnlySequence<byte> body)
    {
        header = default;
        body = default;
        if (_skipLeft > 0)
        {
            long skipped = Math.Min(_skipLeft, buffer.Length);
            buffer = buffer.Slice(skipped);
            _skipLeft -= skipped;
            if (_skipLeft > 0)
            {
                return FrameFound.Incomplete;
            }
        }

        if (!FrameHeader.TryRead(buffer, out header))
        {
            return FrameFound.Incomplete;
        }

        if (header.BodyLength > (uint)bodyBytesMax)
        {
            buffer = buffer.Slice(FrameHeader.Size);
            _skipLeft = header.BodyLength;
            return FrameFound.TooLong;
        }

        long length = FrameHeader.Size + (long)header.BodyLength;
        if (buffer.Length < length)
        {
            return FrameFound.Incomplete;
        }

        ReadOnlySequence<byte> frame = buffer.Slice(0, length);
        header.CheckSum(frame);
        body = frame.Slice(FrameHeader.Size);
        buffer = buffer.Slice(length);
        return FrameFound.Frame;
    }
}
