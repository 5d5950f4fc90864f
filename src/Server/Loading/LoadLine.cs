using System.Buffers;

namespace MetaStore.Server.Loading;

/// <summary>A line of the input of "load": key, tab, value. In the value \n is a line feed, \t a tab and \\ a backslash.</summary>
internal readonly record struct LoadLine(long Number, byte[] Key, byte[] Value)
{
    /// <exception cref="RefusalException">It is none; the message names the line and what is wrong with it.</exception>
    public static LoadLine Parse(ReadOnlySpan<byte> line, long number)
    {
        int tab = line.IndexOf((byte)'\t');
        if (tab < 0)
        {
            throw Refuse(number, "it has no tab; a line is a key, a tab and a value");
        }

        if (tab == 0)
        {
            throw Refuse(number, "its key is empty");
        }

        return new LoadLine(number, line[..tab].ToArray(), Unescape(line[(tab + 1)..], number));
    }

    private static byte[] Unescape(ReadOnlySpan<byte> text, long number)
    {
        int backslash = text.IndexOf((byte)'\\');
        if (backslash < 0)
        {
            return text.ToArray();
        }

        var value = new ArrayBufferWriter<byte>(text.Length);
        for (; backslash >= 0; backslash = text.IndexOf((byte)'\\'))
        {
            value.Write(text[..backslash]);
            byte escaped = backslash + 1 < text.Length ? text[backslash + 1] : (byte)0;
            value.Write([escaped switch
            {
                (byte)'n' => (byte)'\n',
                (byte)'t' => (byte)'\t',
                (byte)'\\' => (byte)'\\',
                0 => throw Refuse(number, "its value ends with a single backslash; write \\\\ for one"),
                _ => throw Refuse(number, $"its value has \\{(char)escaped}; only \\n, \\t and \\\\ are known"),
            }]);
            text = text[(backslash + 2)..];
        }

        value.Write(text);
        return value.WrittenSpan.ToArray();
    }

    private static RefusalException Refuse(long number, string what) => new(ExitCode.Failed, $"line {number}: {what}.");
}
