using System.Buffers;
using System.Globalization;
using System.Text;

namespace MetaStore.Server.Output;

/// <summary>Times and quoted bytes as etcdctl, a program in Go, writes them.</summary>
internal static class GoText
{
    /// <summary>A time with its unit: 1.2345ms, 2.5s.</summary>
    public static string Duration(TimeSpan time)
    {
        double nanoseconds = time.Ticks * 100.0;
        return nanoseconds switch
        {
            0 => "0s",
            < 1e3 => Number(nanoseconds) + "ns",
            < 1e6 => Number(nanoseconds / 1e3) + "µs",
            < 1e9 => Number(nanoseconds / 1e6) + "ms",
            _ => Number(nanoseconds / 1e9) + "s",
        };
    }

    /// <summary>Bytes between quotation marks: what is not printable, or no text, is escaped.</summary>
    public static string Quote(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length + 2).Append('"');
        while (!bytes.IsEmpty)
        {
            OperationStatus status = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length);
            if (status != OperationStatus.Done)
            {
                foreach (byte odd in bytes[..length])
                {
                    text.Append(CultureInfo.InvariantCulture, $"\\x{odd:x2}");
                }
            }
            else
            {
                Append(text, rune);
            }

            bytes = bytes[length..];
        }

        return text.Append('"').ToString();
    }

    public static string Quote(string text) => Quote(Encoding.UTF8.GetBytes(text));

    private static void Append(StringBuilder text, Rune rune)
    {
        int known = "\"\\\a\b\f\n\r\t\v".IndexOf((char)Math.Min(rune.Value, char.MaxValue), StringComparison.Ordinal);
        if (known >= 0)
        {
            text.Append('\\').Append("\"\\abfnrtv"[known]);
        }
        else if (rune.Value < ' ' || rune.Value == 0x7f)
        {
            text.Append(CultureInfo.InvariantCulture, $"\\x{rune.Value:x2}");
        }
        else if (IsPrintable(rune))
        {
            text.Append(rune.ToString());
        }
        else
        {
            text.Append(rune.Value <= char.MaxValue ? $"\\u{rune.Value:x4}" : $"\\U{rune.Value:x8}");
        }
    }

    private static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    private static string Number(double value) => value.ToString("0.#########", CultureInfo.InvariantCulture);
}
