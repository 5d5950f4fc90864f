using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace MetaStore.Net.Wire;

/// <summary>
/// Reads the fields of one frame body in order. Byte fields are slices of the body, not copies, so the body must be the reader's
/// own to keep. Every length and count is held against what is really there before anything is allocated for it.
/// </summary>
internal ref struct WireReader(ReadOnlyMemory<byte> body)
{
    private readonly ReadOnlyMemory<byte> _body = body;
    private readonly ReadOnlySpan<byte> _span = body.Span;
    private int _at;

    /// <summary>Bytes not yet read.</summary>
    public readonly int Remaining => _span.Length - _at;

    public byte ReadByte(string field) => Take(1, field)[0];

    public ushort ReadUInt16(string field) => BinaryPrimitives.ReadUInt16LittleEndian(Take(sizeof(ushort), field));

    public uint ReadUInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint), field));

    public ulong ReadUInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong), field));

    public long ReadInt64(string field) => BinaryPrimitives.ReadInt64LittleEndian(Take(sizeof(long), field));

    /// <summary>A byte of which only the bits of <paramref name="known"/> may be set.</summary>
    public byte ReadFlags(byte known, string field)
    {
        byte flags = ReadByte(field);
        return (flags & ~known) == 0
            ? flags
            : throw new WireFormatException($"{field}: bits 0x{flags & ~known:x2} are not known; set only 0x{known:x2}.");
    }

    /// <summary>A byte that numbers one of the values 0 to <paramref name="last"/>.</summary>
    public byte ReadChoice(byte last, string field)
    {
        byte value = ReadByte(field);
        return value <= last ? value : throw new WireFormatException($"{field}: {value} is not known; the values are 0 to {last}.");
    }

    /// <summary>Length (u32) and bytes, as a slice of the body.</summary>
    public ReadOnlyMemory<byte> ReadBytes(string field)
    {
        uint length = ReadUInt32(field);
        if (length > (uint)Remaining)
        {
            throw new WireFormatException($"{field}: a length of {length} bytes is announced, but {Remaining} are left in the frame.");
        }

        ReadOnlyMemory<byte> bytes = _body.Slice(_at, (int)length);
        _at += (int)length;
        return bytes;
    }

    /// <summary>Length (u32) and UTF-8 text.</summary>
    public string ReadText(int bytesMax, string field)
    {
        ReadOnlyMemory<byte> bytes = ReadBytes(field);
        if (!Utf8.IsValid(bytes.Span))
        {
            throw new WireFormatException($"{field}: {bytes.Length} bytes that are not UTF-8.");
        }

        return bytes.Length <= bytesMax
            ? Encoding.UTF8.GetString(bytes.Span)
            : throw new WireFormatException($"{field}: {bytes.Length} bytes of text; at most {bytesMax} are taken.");
    }

    /// <summary>The number (u32) of elements that follow, each of which takes at least <paramref name="elementBytesMin"/>.</summary>
    public int ReadCount(int elementBytesMin, string field)
    {
        uint count = ReadUInt32(field);
        if (count > (uint)(Remaining / elementBytesMin))
        {
            throw new WireFormatException(
                $"{field}: {count} elements are announced, but {Remaining} bytes are left in the frame and each takes {elementBytesMin} or more.");
        }

        return (int)count;
    }

    /// <summary>Nothing may be left.</summary>
    public readonly void End()
    {
        if (Remaining != 0)
        {
            throw new WireFormatException($"{Remaining} bytes are left over behind the last field of a frame.");
        }
    }

    private ReadOnlySpan<byte> Take(int count, string field)
    {
        if (Remaining < count)
        {
            throw new WireFormatException($"{field}: the frame ends before this field, which takes {count} bytes; {Remaining} are left.");
        }

        ReadOnlySpan<byte> taken = _span.Slice(_at, count);
        _at += count;
        return taken;
    }
}
