using System.Globalization;
using MetaStore.Engine;
using MetaStore.Server.CommandLine;

namespace MetaStore.Server.Serving;

/// <summary>What --auto-compaction-retention says, by etcd's rules: with the mode periodic a plain number is of hours.</summary>
internal static class CompactionRetention
{
    private static readonly TimeSpan s_most = TimeSpan.FromDays(3650);

    /// <exception cref="RefusalException">It is neither what the mode counts nor 0.</exception>
    public static AutoCompactionOptions Parse(CompactionMode mode, string text)
    {
        if (mode == CompactionMode.Revision)
        {
            return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long revisions)
                ? new AutoCompactionOptions { RevisionsKept = revisions }
                : throw Refuse(text, "with --auto-compaction-mode revision it must be a number of revisions to keep, such as 10000, or 0 to keep all");
        }

        return ParseTime(text) is { } age
            ? new AutoCompactionOptions { AgeKept = age }
            : throw Refuse(text, "it must be a time to keep, such as 30m or 1.5h, a number of hours, or 0 to keep all; to count revisions add --auto-compaction-mode revision");
    }

    private static TimeSpan? ParseTime(string text)
    {
        bool isHours = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double hours);
        return !isHours ? Flags.ParseTime(text, s_most) : hours <= s_most.TotalHours ? TimeSpan.FromHours(hours) : null;
    }

    private static RefusalException Refuse(string text, string right) => new(ExitCode.Usage, $"--auto-compaction-retention is \"{text}\"; {right}.");
}
