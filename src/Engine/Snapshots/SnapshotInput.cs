using System.Buffers.Binary;

namespace MetaStore.Engine.Snapshots;

/// <summary>Fills the buffer from the payload; fewer bytes only at its end.</summary>
internal delegate int SnapshotSource(Span<byte> buffer);

/// <summary>
/// The payload of a snapshot, read from the beginning to the end, and some of it ahead. Whoever wants to know what it was made of is told of the bytes in order, once nobody puts them back any more.
/// </summary>
internal sealed class SnapshotInput(SnapshotSource source, SnapshotSink? used = null)
{
    /// <summary>Memory for so much is taken before the bytes are there.</summary>
    private const int TrustedBytes = 1 << 20;

    private const int AheadBytes = 8 << 10;
    private const int SmallBytes = 1 << 10;

    private readonly byte[] _number = new byte[sizeof(ulong)];
    private byte[] _ahead = [];
    private int _aheadAt;
    private int _aheadEnd;

    /// <summary>Bytes read so far, and not put back.</summary>
    public long Offset { get; private set; }

    public byte Byte() => Number(sizeof(byte))[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Number(sizeof(ushort)));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Number(sizeof(uint)));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Number(sizeof(ulong)));

    public long Int64() => unchecked((long)UInt64());

    /// <summary>Grown as they arrive: a wrong length ends in an error, not in a huge allocation.</summary>
    public byte[] Bytes(uint length)
    {
        byte[] bytes = [];
        int filled = Append(ref bytes, 0, length);
        Array.Resize(ref bytes, filled);
        Used(bytes);
        return bytes;
    }

    /// <summary>Appends so many bytes to what is in the buffer, which grows as they arrive. Whoever calls it says what was <see cref="Used"/> of them.</summary>
    /// <returns>Bytes in it then.</returns>
    public int Append(ref byte[] buffer, int filled, long length)
    {
        long end = filled + length;
        if (end > Array.MaxLength)
        {
            throw Wrong($"length {length} is beyond reason", Offset);
        }

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

    /// <summary>Reads so many bytes to the beginning of the buffer, which is made larger for it where it is too small; fewer where the payload ends. As <see cref="Append"/> it leaves to the caller what was used.</summary>
    /// <returns>How many.</returns>
    public int ReadSome(ref byte[] buffer, int length)
    {
        if (buffer.Length < length)
        {
            buffer = GC.AllocateUninitializedArray<byte>(length);
        }

        return Read(buffer.AsSpan(0, length));
    }

    /// <summary>The bytes that were read last are to be read again.</summary>
    public void PutBack(ReadOnlySpan<byte> bytes)
    {
        _ahead = [.. bytes, .. _ahead.AsSpan(_aheadAt, _aheadEnd - _aheadAt)];
        _aheadAt = 0;
        _aheadEnd = _ahead.Length;
        Offset -= bytes.Length;
    }

    /// <summary>These bytes, which were read behind those that were named last, will not be put back.</summary>
    public void Used(ReadOnlySpan<byte> bytes) => used?.Invoke(bytes);

    /// <summary>What is wrong, and where.</summary>
    public static SnapshotFormatException Wrong(string cause, long offset) => new($"{cause} (payload offset {offset})");

    private ReadOnlySpan<byte> Number(int bytes)
    {
        Span<byte> number = _number.AsSpan(0, bytes);
        Fill(number);
        Used(number);
        return number;
    }

    private void Fill(Span<byte> buffer)
    {
        if (Read(buffer) < buffer.Length)
        {
            throw Wrong("the payload ends too early", Offset);
        }
    }

    /// <summary>Fills the buffer with what comes next; fewer bytes only at the end.</summary>
    public int Read(Span<byte> buffer)
    {
        if (_aheadAt == _aheadEnd && buffer.Length < SmallBytes)
        {
            _ahead = _ahead.Length == AheadBytes ? _ahead : new byte[AheadBytes];
            _aheadEnd = source(_ahead);
            _aheadAt = 0;
        }

        int there = Math.Min(buffer.Length, _aheadEnd - _aheadAt);
        _ahead.AsSpan(_aheadAt, there).CopyTo(buffer);
        _aheadAt += there;
        int read = there == buffer.Length ? there : there + source(buffer[there..]);
        Offset += read;
        return read;
    }
}

/// <summary>A snapshot's payload is not what this program writes.</summary>
internal sealed class SnapshotFormatException(string message) : Exception(message);
