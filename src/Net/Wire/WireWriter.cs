using System.Buffers.Binary;
using System.Text;

namespace MetaStore.Net.Wire;

/// <summary>
/// Writes the fields of one frame body in order, into a span that was made to measure beforehand: a codec's length and its
/// writer must agree, which <see cref="End"/> checks.
/// </summary>
internal ref struct WireWriter(Span<byte> body)
{
    private readonly Span<byte> _span = body;
    private int _at;

    /// <summary>Bytes that <see cref="WriteBytes"/> takes.</summary>
    public static int GetLength(ReadOnlyMemory<byte> bytes) => sizeof(uint) + bytes.Length;

    /// <summary>Bytes that <see cref="WriteText"/> takes.</summary>
    public static int GetLength(string text) => sizeof(uint) + Encoding.UTF8.GetByteCount(text);

    public void WriteByte(byte value) => _span[_at++] = value;

    public void WriteUInt16(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_span[_at..], value);
        _at += sizeof(ushort);
    }

    public void WriteUInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_span[_at..], value);
        _at += sizeof(uint);
    }

    public void WriteUInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_span[_at..], value);
        _at += sizeof(ulong);
    }

    public void WriteInt64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_span[_at..], value);
        _at += sizeof(long);
    }

    public void WriteBytes(ReadOnlyMemory<byte> bytes)
    {
        WriteUInt32((uint)bytes.Length);
        bytes.Span.CopyTo(_span[_at..]);
        _at += bytes.Length;
    }

    /// <summary>Bytes that are encoded already.</summary>
    public void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_span[_at..]);
        _at += bytes.Length;
    }

    public void WriteText(string text)
    {
        int length = Encoding.UTF8.GetBytes(text, _span[(_at + sizeof(uint))..]);
        WriteUInt32((uint)length);
        _at += length;
    }

    /// <summary>The body is full to the last byte.</summary>
    public readonly void End() =>
        Invariant.Check(_at == _span.Length, $"A body of {_span.Length} bytes was measured, {_at} were written.");
}
