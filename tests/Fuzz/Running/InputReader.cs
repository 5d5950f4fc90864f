using System.Buffers.Binary;

namespace MetaStore.Fuzz.Running;

/// <summary>Takes an input apart into what steers the target and what it is given. Beyond the end there are zeros: every input means something.</summary>
internal ref struct InputReader(ReadOnlyMemory<byte> input)
{
    public ReadOnlyMemory<byte> Rest { get; private set; } = input;

    public readonly bool IsAtEnd => Rest.IsEmpty;

    public byte Byte()
    {
        ReadOnlyMemory<byte> taken = Take(1);
        return taken.IsEmpty ? (byte)0 : taken.Span[0];
    }

    public ushort UInt16() => (ushort)(Byte() | (Byte() << 8));

    public ulong UInt64()
    {
        Span<byte> number = stackalloc byte[sizeof(ulong)];
        Take(sizeof(ulong)).Span.CopyTo(number);
        return BinaryPrimitives.ReadUInt64LittleEndian(number);
    }

    /// <summary>So many bytes, or as many as there are.</summary>
    public ReadOnlyMemory<byte> Take(int count)
    {
        ReadOnlyMemory<byte> taken = Rest[..Math.Min(count, Rest.Length)];
        Rest = Rest[taken.Length..];
        return taken;
    }

    /// <summary>A length (16 bits), then so many bytes.</summary>
    public ReadOnlyMemory<byte> Sized() => Take(UInt16());
}

/// <summary>Puts an input together, for the seeds.</summary>
internal sealed class InputWriter
{
    private readonly MemoryStream _bytes = new();

    public InputWriter Byte(int value)
    {
        _bytes.WriteByte((byte)value);
        return this;
    }

    public InputWriter UInt16(int value) => Byte(value).Byte(value >> 8);

    public InputWriter Bytes(ReadOnlySpan<byte> bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    public InputWriter Sized(ReadOnlySpan<byte> bytes) => UInt16(bytes.Length).Bytes(bytes);

    public byte[] ToArray() => _bytes.ToArray();
}
