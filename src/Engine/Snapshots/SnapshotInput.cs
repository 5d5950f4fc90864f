using System.Buffers.Binary;

namespace MetaStore.Engine.Snapshots;

/// <summary>Fills the buffer from the payload; fewer bytes only at its end.</summary>
internal delegate int SnapshotSource(Span<byte> buffer);

/// <summary>The payload of a snapshot, read from the beginning to the end.</summary>
internal sealed class SnapshotInput(SnapshotSource source)
{
    /// <summary>Memory for so much is taken before the bytes are there.</summary>
    public const int TrustedBytes = 1 << 20;

    private readonly byte[] _number = new byte[sizeof(ulong)];
    private byte[] _back = [];
    private int _backAt;

    /// <summary>Bytes read so far.</summary>
    public long Offset { get; private set; }

    public byte Byte()
    {
        Fill(_number.AsSpan(0, 1));
        return _number[0];
    }

    public ushort UInt16()
    {
        Fill(_number.AsSpan(0, sizeof(ushort)));
        return BinaryPrimitives.ReadUInt16LittleEndian(_number);
    }

    public uint UInt32()
    {
        Fill(_number.AsSpan(0, sizeof(uint)));
        return BinaryPrimitives.ReadUInt32LittleEndian(_number);
    }

    public ulong UInt64()
    {
        Fill(_number);
        return BinaryPrimitives.ReadUInt64LittleEndian(_number);
    }

    public long Int64() => unchecked((long)UInt64());

    /// <summary>Grown as they arrive: a wrong length ends in an error, not in a huge allocation.</summary>
    public byte[] Bytes(uint length)
    {
        byte[] bytes = [];
        int filled = Append(ref bytes, 0, length);
        Array.Resize(ref bytes, filled);
        return bytes;
    }

    /// <summary>Appends so many bytes to what is in the buffer, which grows as they arrive.</summary>
    /// <returns>Bytes in it then.</returns>
    public int Append(ref byte[] buffer, int filled, long length)
    {
        long end = filled + length;
        Require(end <= Array.MaxLength, $"length {length} is beyond reason");
        while (filled < end)
        {
            int step = (int)Math.Min(end - filled, TrustedBytes);
            if (buffer.Length < filled + step)
            {
                Array.Resize(ref buffer, (int)Math.Clamp(2L * buffer.Length, filled + step, Array.MaxLength));
            }

            Fill(buffer.AsSpan(filled, step));
            filled += step;
        }

        return filled;
    }

    /// <summary>Reads so many bytes into the buffer, which is made larger for it where it is too small; fewer where the payload ends.</summary>
    /// <returns>How many.</returns>
    public int AppendSome(ref byte[] buffer, int length)
    {
        if (buffer.Length < length)
        {
            buffer = GC.AllocateUninitializedArray<byte>(length);
        }

        int read = Read(buffer.AsSpan(0, length));
        Offset += read;
        return read;
    }

    /// <summary>The bytes that were read last are to be read again.</summary>
    public void PutBack(ReadOnlySpan<byte> bytes)
    {
        byte[] back = [.. bytes, .. _back.AsSpan(_backAt)];
        _back = back;
        _backAt = 0;
        Offset -= bytes.Length;
    }

    public void Require(bool condition, string cause)
    {
        if (!condition)
        {
            throw Wrong(cause, Offset);
        }
    }

    /// <summary>What is wrong, and where.</summary>
    public static SnapshotFormatException Wrong(string cause, long offset) => new($"{cause} (payload offset {offset})");

    private void Fill(Span<byte> buffer)
    {
        int read = Read(buffer);
        Require(read == buffer.Length, "the payload ends too early");
        Offset += read;
    }

    private int Read(Span<byte> buffer)
    {
        int again = Math.Min(buffer.Length, _back.Length - _backAt);
        _back.AsSpan(_backAt, again).CopyTo(buffer);
        _backAt += again;
        return again == buffer.Length ? again : again + source(buffer[again..]);
    }
}

/// <summary>A snapshot's payload is not what this program writes.</summary>
internal sealed class SnapshotFormatException(string message) : Exception(message);
