using System.Buffers;
using System.Text;

namespace MetaStore.Server.Output;

/// <summary>Text and raw bytes, one behind the other.</summary>
internal sealed class ByteText
{
    private ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlyMemory<byte> Bytes => _bytes.WrittenMemory;

    public IBufferWriter<byte> Writer => _bytes;

    /// <summary>What there is, and begins anew.</summary>
    public ReadOnlyMemory<byte> Take()
    {
        ReadOnlyMemory<byte> taken = _bytes.WrittenMemory;
        _bytes = new ArrayBufferWriter<byte>();
        return taken;
    }

    public void Line(string text)
    {
        Encoding.UTF8.GetBytes(text, _bytes);
        EndLine();
    }

    /// <summary>The bytes as they are: they may be anything.</summary>
    public void Line(ReadOnlyMemory<byte> bytes)
    {
        _bytes.Write(bytes.Span);
        EndLine();
    }

    public void EndLine() => _bytes.Write("\n"u8);

    /// <summary>Bytes as text that stays on its line: what is not printable is escaped.</summary>
    public static string Escape(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        while (!bytes.IsEmpty)
        {
            OperationStatus status = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length);
            if (status == OperationStatus.Done && rune.Value == '\\')
            {
                text.Append(@"\\");
            }
            else if (status == OperationStatus.Done && !Rune.IsControl(rune))
            {
                text.Append(rune.ToString());
            }
            else
            {
                AppendEscaped(text, bytes[..length]);
            }

            bytes = bytes[length..];
        }

        return text.ToString();
    }

    private static void AppendEscaped(StringBuilder text, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            text.Append(value switch
            {
                (byte)'\n' => @"\n",
                (byte)'\t' => @"\t",
                _ => $@"\x{value:x2}",
            });
        }
    }
}
