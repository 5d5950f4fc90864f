using System.Buffers;
using System.Text;

namespace MetaStore.Etcd.Gateway;

/// <summary>
/// Whole numbers that are too long for the reader of JSON, which takes every number for a fraction of 64 bits and so loses the last digits of ids beyond 2^53. As
/// text it takes them digit by digit.
/// </summary>
internal static class JsonNumbers
{
    /// <summary>Digits that a fraction of 64 bits always keeps.</summary>
    private const int DigitsKept = 15;

    private static readonly SearchValues<char> s_ofNumbers = SearchValues.Create("+-.0123456789Ee");

    /// <summary>Puts whole numbers of more than 15 digits into quotes. What is no JSON stays none.</summary>
    public static string QuoteLong(string json)
    {
        StringBuilder? quoted = null;
        int copied = 0;
        for (int at = 0; at < json.Length;)
        {
            char first = json[at];
            if (first == '"')
            {
                at = EndOfText(json, at);
                continue;
            }

            int end = first == '-' || char.IsAsciiDigit(first) ? EndOfNumber(json, at) : at + 1;
            if (end - at > DigitsKept && IsWhole(json.AsSpan(at, end - at)))
            {
                quoted ??= new StringBuilder(json.Length + 16);
                quoted.Append(json, copied, at - copied).Append('"').Append(json, at, end - at).Append('"');
                copied = end;
            }

            at = end;
        }

        return quoted is null ? json : quoted.Append(json, copied, json.Length - copied).ToString();
    }

    private static int EndOfText(string json, int at)
    {
        for (at++; at < json.Length && json[at] != '"'; at++)
        {
            at += json[at] == '\\' ? 1 : 0;
        }

        return at + 1;
    }

    private static int EndOfNumber(string json, int at)
    {
        int length = json.AsSpan(at).IndexOfAnyExcept(s_ofNumbers);
        return length < 0 ? json.Length : at + length;
    }

    private static bool IsWhole(ReadOnlySpan<char> number) => !number.TrimStart('-').ContainsAnyExceptInRange('0', '9');
}
