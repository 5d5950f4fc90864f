namespace MetaStore.Server.Transactions;

/// <summary>A word of an operation. Quoted words are never flags.</summary>
internal readonly record struct Token(byte[] Bytes, bool IsQuoted)
{
    public bool IsFlag => !IsQuoted && Bytes.AsSpan().StartsWith("--"u8);
}

/// <summary>
/// Reads quoted text as Go writes it (etcdctl's %q): "…" with the escapes \a \b \f \n \r \t \v \\ \" \' \ooo \xhh \uhhhh \Uhhhhhhhh, and
/// splits lines into words, which may also stand in '…' without any escapes.
/// </summary>
internal static class QuotedText
{
    /// <summary>Splits a line into its words.</summary>
    /// <exception cref="FormatException">A quote is not closed, or an escape is wrong.</exception>
    public static IReadOnlyList<Token> Split(ReadOnlySpan<byte> line)
    {
        var tokens = new List<Token>();
        for (int at = 0; at < line.Length;)
        {
            if (line[at] is (byte)' ' or (byte)'\t')
            {
                at++;
            }
            else if (line[at] == '"')
            {
                tokens.Add(new Token(Unquote(line[at..], out int length), IsQuoted: true));
                at += length;
            }
            else if (line[at] == '\'')
            {
                int close = line[(at + 1)..].IndexOf((byte)'\'');
                if (close < 0)
                {
                    throw new FormatException("a ' is not closed");
                }

                tokens.Add(new Token(line.Slice(at + 1, close).ToArray(), IsQuoted: true));
                at += close + 2;
            }
            else
            {
                int length = line[at..].IndexOfAny((byte)' ', (byte)'\t');
                length = length < 0 ? line.Length - at : length;
                tokens.Add(new Token(line.Slice(at, length).ToArray(), IsQuoted: false));
                at += length;
            }
        }

        return tokens;
    }

    /// <summary>Reads a text in double quotes at the front.</summary>
    /// <exception cref="FormatException">There is none, or it is wrong.</exception>
    public static byte[] Unquote(ReadOnlySpan<byte> text, out int length)
    {
        if (text.IsEmpty || text[0] != '"')
        {
            throw new FormatException("text in double quotes is expected");
        }

        var bytes = new List<byte>();
        int at = 1;
        while (at < text.Length && text[at] != '"')
        {
            if (text[at] != '\\')
            {
                bytes.Add(text[at++]);
            }
            else
            {
                at += Escape(text[at..], bytes);
            }
        }

        if (at >= text.Length)
        {
            throw new FormatException("a \" is not closed");
        }

        length = at + 1;
        return [.. bytes];
    }

    private static int Escape(ReadOnlySpan<byte> text, List<byte> bytes)
    {
        char kind = text.Length > 1 ? (char)text[1] : '\0';
        int simple = "abfnrtv\\\"'".IndexOf(kind);
        if (simple >= 0)
        {
            bytes.Add("\a\b\f\n\r\t\v\\\"'"u8[simple]);
            return 2;
        }

        switch (kind)
        {
            case 'x':
                bytes.Add((byte)Digits(text, 2, 2, 16));
                return 4;
            case 'u' or 'U':
                int count = kind == 'u' ? 4 : 8;
                uint value = Digits(text, 2, count, 16);
                if (!System.Text.Rune.IsValid(value))
                {
                    throw new FormatException($"\\{kind} names no character");
                }

                Span<byte> encoded = stackalloc byte[4];
                bytes.AddRange(encoded[..new System.Text.Rune(value).EncodeToUtf8(encoded)]);
                return 2 + count;
            case >= '0' and <= '7':
                uint octal = Digits(text, 1, 3, 8);
                bytes.Add(octal <= byte.MaxValue ? (byte)octal : throw new FormatException($"\\{octal} is more than a byte"));
                return 4;
            default:
                throw new FormatException($"\\{kind} is no escape; known are \\a \\b \\f \\n \\r \\t \\v \\\\ \\\" \\' \\ooo \\xhh \\uhhhh \\Uhhhhhhhh");
        }
    }

    private static uint Digits(ReadOnlySpan<byte> text, int from, int count, uint radix)
    {
        uint value = 0;
        for (int i = from; i < from + count; i++)
        {
            uint digit = i < text.Length && char.IsAsciiHexDigit((char)text[i]) ? (uint)Convert.ToInt32(((char)text[i]).ToString(), 16) : radix;
            value = digit < radix ? (value * radix) + digit : throw new FormatException($"\\{(char)text[1]} wants {count} digits");
        }

        return value;
    }
}
