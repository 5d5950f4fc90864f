using System.CommandLine;
using System.CommandLine.Invocation;

namespace MetaStore.Server.CommandLine;

/// <summary>Says what is wrong with a command line: the first error, as the others mostly follow from it, and what may have been meant.</summary>
internal static class ParseErrorText
{
    /// <summary>The error, or null where there is none.</summary>
    public static string? Describe(ParseResult parsed, IReadOnlyList<string> arguments)
    {
        Command command = parsed.CommandResult.Command;
        if (FindUnknownFlag(command, arguments) is { } flag)
        {
            string escape = command.Arguments.Count > 0 ? " Write -- before keys and values that begin with a dash." : string.Empty;
            return Format(command, $"{flag} is no flag of \"{NameOf(command)}\".{Suggest(command.Options.Select(option => option.Name), flag)}{escape}");
        }

        if (parsed.Action is not ParseErrorAction)
        {
            return null;
        }

        string? unmatched = parsed.UnmatchedTokens.Count > 0 ? parsed.UnmatchedTokens[0] : null;
        if (unmatched is not null && command.Subcommands.Count > 0)
        {
            IEnumerable<string> names = command.Subcommands.Select(sub => sub.Name);
            return Format(command, $"\"{unmatched}\" is no command of \"{NameOf(command)}\"; it must be one of {string.Join(", ", names)}.{Suggest(names, unmatched)}");
        }

        return Format(command, unmatched is null ? parsed.Errors[0].Message : $"\"{unmatched}\" is one argument too many for \"{NameOf(command)}\".");
    }

    /// <summary>
    /// The parser would take an unknown flag for a key or a value, and "get a --prefx" for a range. So a word with a dash in front must be a known
    /// flag, or the value of the one before it, or stand behind "--".
    /// </summary>
    private static string? FindUnknownFlag(Command command, IReadOnlyList<string> arguments)
    {
        Option? before = null;
        foreach (string argument in arguments.TakeWhile(argument => argument != "--"))
        {
            bool isValue = before is not null && before.Arity.MinimumNumberOfValues > 0;
            before = null;
            if (isValue || argument.Length < 2 || argument[0] != '-')
            {
                continue;
            }

            string name = argument.Split('=', ':')[0];
            Option? option = Known(command).FirstOrDefault(known => known.Name == name || known.Aliases.Contains(name));
            if (option is null)
            {
                return name;
            }

            before = name.Length == argument.Length ? option : null;
        }

        return null;
    }

    private static IEnumerable<Option> Known(Command command)
    {
        IEnumerable<Option> inherited = command.Parents.OfType<Command>().SelectMany(Known).Where(option => option.Recursive);
        return command.Options.Concat(inherited);
    }

    private static string NameOf(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? $"{NameOf(parent)} {command.Name}" : "metastore";

    private static string Format(Command command, string error) => $"metastore: {error}{Environment.NewLine}See \"{NameOf(command)} --help\".";

    /// <summary>What may have been meant, as a sentence; empty where nothing is near.</summary>
    public static string Suggest(IEnumerable<string> known, string given)
    {
        (string Name, int Distance) best = known.Select(name => (name, Distance(name, given))).Append((string.Empty, int.MaxValue)).MinBy(pair => pair.Item2);
        return best.Distance <= Math.Max(2, given.Length / 4) ? $" Did you mean {best.Name}?" : string.Empty;
    }

    /// <summary>How many letters must be added, removed or replaced to get from one word to the other.</summary>
    private static int Distance(string left, string right)
    {
        int[] row = [.. Enumerable.Range(0, right.Length + 1)];
        for (int i = 1; i <= left.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= right.Length; j++)
            {
                int replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
