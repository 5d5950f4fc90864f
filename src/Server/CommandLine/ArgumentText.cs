using System.Buffers;
using System.Text;

namespace MetaStore.Server.CommandLine;

/// <summary>
/// Arguments as the bytes they were given in. Keys and values may be any bytes, while the runtime hands arguments over as text and puts U+FFFD for
/// what is not UTF-8, so that different keys would fall together. Here a byte that is no part of UTF-8 becomes a lone surrogate, U+DC00 and
/// the byte, which no UTF-8 decodes to; so the parser can carry it, and <see cref="ToBytes"/> gives the byte back.
/// </summary>
internal static class ArgumentText
{
    private const char Replacement = '\uFFFD';
    private const char EscapeFirst = '\uDC80';
    private const char EscapeLast = '\uDCFF';

    /// <summary>The program's arguments, with nothing lost.</summary>
    /// <param name="decoded">As the runtime decoded them.</param>
    /// <param name="readCommandLine">The process's command line, each part with a zero byte behind it, the arguments last; null where the system does not tell.</param>
    /// <exception cref="RefusalException">An argument's bytes cannot be known.</exception>
    public static string[] Restore(string[] decoded, Func<byte[]?> readCommandLine)
    {
        int suspect = Array.FindIndex(decoded, argument => argument.Contains(Replacement));
        if (suspect < 0)
        {
            return decoded;
        }

        // Matched from the end: "dotnet metastore.dll" and what else starts the program stand before the arguments.
        string[] all = readCommandLine() is { } commandLine ? Split(commandLine) : [];
        string[] restored = all[Math.Max(0, all.Length - decoded.Length)..];
        return restored.Select(Comparable).SequenceEqual(decoded.Select(Comparable), StringComparer.Ordinal)
            ? restored
            : throw new RefusalException(
                ExitCode.Usage,
                $"argument {suspect + 1} (\"{decoded[suspect]}\") is not valid UTF-8, and this system does not tell its bytes. A value can come from standard input: metastore put KEY < FILE.");
    }

    /// <summary>The command line of this process, where the system has it.</summary>
    public static byte[]? ReadCommandLine() => OperatingSystem.IsLinux() && File.Exists("/proc/self/cmdline") ? File.ReadAllBytes("/proc/self/cmdline") : null;

    /// <summary>Whether the argument is text, and not bytes that are none.</summary>
    public static bool IsText(string argument)
    {
        for (ReadOnlySpan<char> rest = argument; !rest.IsEmpty;)
        {
            if (Rune.DecodeFromUtf16(rest, out _, out int read) != OperationStatus.Done)
            {
                return false;
            }

            rest = rest[read..];
        }

        return true;
    }

    /// <summary>The bytes of an argument.</summary>
    public static byte[] ToBytes(string argument)
    {
        var bytes = new ArrayBufferWriter<byte>(argument.Length + 1);
        for (ReadOnlySpan<char> rest = argument; !rest.IsEmpty;)
        {
            if (rest[0] is >= EscapeFirst and <= EscapeLast)
            {
                bytes.Write([(byte)rest[0]]);
                rest = rest[1..];
                continue;
            }

            Rune.DecodeFromUtf16(rest, out Rune rune, out int read);
            bytes.Advance(rune.EncodeToUtf8(bytes.GetSpan(4)));
            rest = rest[read..];
        }

        return bytes.WrittenSpan.ToArray();
    }

    private static string[] Split(ReadOnlySpan<byte> commandLine)
    {
        var parts = new List<string>();
        for (int end = commandLine.IndexOf((byte)0); end >= 0; end = commandLine.IndexOf((byte)0))
        {
            parts.Add(Decode(commandLine[..end]));
            commandLine = commandLine[(end + 1)..];
        }

        return [.. parts];
    }

    private static string Decode(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int read) == OperationStatus.Done)
            {
                text.Append(rune.ToString());
            }
            else
            {
                foreach (byte odd in bytes[..read])
                {
                    text.Append((char)(EscapeFirst - 0x80 + odd));
                }
            }

            bytes = bytes[read..];
        }

        return text.ToString();
    }

    /// <summary>What both decoders agree on: how many U+FFFD stand for a run of odd bytes is a matter of taste.</summary>
    private static string Comparable(string argument)
    {
        string decoded = Encoding.UTF8.GetString(ToBytes(argument));
        return string.Concat(decoded.Where((letter, at) => letter != Replacement || at == 0 || decoded[at - 1] != Replacement));
    }
}
