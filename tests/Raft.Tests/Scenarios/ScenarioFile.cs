using System.Text;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>One step of a script: the words of a command, and the output that is expected of it.</summary>
internal sealed record ScenarioStep(string Command, string Expected, int Line);

/// <summary>
/// A script: text that explains (lines with #, blank lines), and steps. A step is a command, a line of four dashes, and the
/// expected output up to the next blank line.
/// </summary>
internal static class ScenarioFile
{
    private const string Separator = "----";

    /// <summary>Runs every step, and returns the script as it would be with the actual output; fails nothing by itself.</summary>
    public static string Rewrite(string text, Func<ScenarioStep, string> run)
    {
        var result = new StringBuilder();
        string[] lines = text.Split('\n');
        int position = 0;
        while (position < lines.Length)
        {
            string line = lines[position];
            if (line.Length == 0 || line[0] == '#')
            {
                result.Append(line);
                result.Append(position + 1 < lines.Length ? "\n" : "");
                position++;
                continue;
            }

            ScenarioStep step = ReadStep(lines, ref position);
            string actual = run(step);
            result.Append(step.Command).Append('\n').Append(Separator).Append('\n').Append(actual);
        }

        return result.ToString();
    }

    private static ScenarioStep ReadStep(string[] lines, ref int position)
    {
        int first = position;
        string command = lines[position++];
        if (position >= lines.Length || lines[position] != Separator)
        {
            // A new step: the rewriting adds the rest.
            return new ScenarioStep(command, "", first + 1);
        }

        position++;
        var expected = new StringBuilder();
        while (position < lines.Length && lines[position].Length > 0)
        {
            expected.Append(lines[position++]).Append('\n');
        }

        return new ScenarioStep(command, expected.ToString(), first + 1);
    }
}
