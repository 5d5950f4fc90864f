using System.Globalization;

namespace MetaStore.Server.Serving;

/// <summary>How many files this process may have open at a time.</summary>
internal static class OpenFiles
{
    private const string Limits = "/proc/self/limits";
    private const string Name = "Max open files";

    /// <summary>Null where the system does not say, or sets no limit. The runtime has raised the soft limit to the hard one at its start.</summary>
    public static long? Limit()
    {
        try
        {
            return File.Exists(Limits) ? Parse(File.ReadAllLines(Limits)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The soft limit of such a list: a name, some blanks, then the soft and the hard limit.</summary>
    public static long? Parse(IEnumerable<string> lines)
    {
        string? line = lines.FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        string? soft = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out long limit) ? limit : null;
    }
}
