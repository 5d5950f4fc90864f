using System.Text;

namespace MetaStore.Fuzz.Running;

/// <summary>What stays of a text, a number or a length when only its kind counts: so that what is new can be told from what was seen.</summary>
internal static class Shape
{
    private const int LettersMax = 72;

    /// <summary>A message without its numbers and without what it quotes.</summary>
    public static string Of(string message)
    {
        var shape = new StringBuilder(LettersMax);
        bool isQuoted = false;
        foreach (char letter in message)
        {
            if (letter == '"')
            {
                isQuoted = !isQuoted;
                continue;
            }

            char kind = char.IsDigit(letter) ? '0' : letter is > '~' or < ' ' ? '?' : letter;
            if (!isQuoted && !(kind is '0' or '?' && shape.Length > 0 && shape[^1] == kind))
            {
                shape.Append(kind);
                if (shape.Length == LettersMax)
                {
                    break;
                }
            }
        }

        return shape.ToString();
    }

    public static string Of(Exception e) => $"{e.GetType().Name}: {Of(e.Message)}";

    /// <summary>Lengths and counts of one letter are of one order of size.</summary>
    public static char Size(long count) => count < 0 ? '-' : (char)('a' + (count == 0 ? 0 : (64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)count))));

    /// <summary>The bytes as text, to compare or to show.</summary>
    public static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexString(bytes);
}
