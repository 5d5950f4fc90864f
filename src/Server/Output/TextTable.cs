using System.Globalization;

namespace MetaStore.Server.Output;

/// <summary>A table with a frame of ASCII, drawn as etcdctl's: heads in the middle, numbers to the right.</summary>
internal static class TextTable
{
    public static void Write(ByteText text, IReadOnlyList<string> heads, IReadOnlyList<string[]> rows)
    {
        int[] widths = [.. heads.Select((head, column) => rows.Select(row => row[column].Length).Append(head.Length).Max())];
        string rule = "+" + string.Concat(widths.Select(width => new string('-', width + 2) + "+"));
        text.Line(rule);
        text.Line("|" + string.Concat(heads.Select((head, column) => $" {Center(head.ToUpperInvariant(), widths[column])} |")));
        text.Line(rule);
        foreach (string[] row in rows)
        {
            text.Line("|" + string.Concat(row.Select((cell, column) => $" {Align(cell, widths[column])} |")));
        }

        if (rows.Count > 0)
        {
            text.Line(rule);
        }
    }

    private static string Center(string text, int width) => text.PadLeft(text.Length + ((width - text.Length) / 2)).PadRight(width);

    private static string Align(string text, int width) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _) ? text.PadLeft(width) : text.PadRight(width);
}
