using System.Text;

namespace MetaStore.Fuzz.Running;

/// <summary>What stays of a text, a number or a length when only its kind counts: so that what is new can be told from what was seen.</summary>
internal static class Shape
{
    private const int LettersMax = 72;

    /// <summary>A message without its numbers and without what it quotes: of a word that holds a digit, or what is no ASCII, a 0 stays.</summary>
    public static string Of(string message)
    {
        var shape = new StringBuilder(LettersMax);
        string plain = string.Concat(message.Split('"').Where((_, part) => part % 2 == 0));
        foreach (string word in plain.Split([' ', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries))
        {
            shape.Append(word.Any(letter => !char.IsAscii(letter) || char.IsDigit(letter) || char.IsControl(letter)) ? "0" : word).Append(' ');
            if (shape.Length >= LettersMax)
            {
                break;
            }
        }

        return shape.ToString(0, Math.Min(shape.Length, LettersMax)).TrimEnd();
    }

    public static string Of(Exception e) => $"{e.GetType().Name}: {Of(e.Message)}";

    /// <summary>Lengths and counts of one letter are of one order of size.</summary>
    public static char Size(long count) => count < 0 ? '-' : (char)('a' + (count == 0 ? 0 : (64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)count))));

    /// <summary>The bytes as text, to compare or to show.</summary>
    public static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexString(bytes);
}
