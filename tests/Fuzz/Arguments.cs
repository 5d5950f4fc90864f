using System.Globalization;
using System.Security.Cryptography;

namespace MetaStore.Fuzz;

/// <summary>The command line. See docs/TESTING.md.</summary>
internal sealed record Arguments(string? Target, double Minutes, ulong Seed, string? Replay, bool Keep)
{
    public const string Usage = """
        fuzz [TARGET] [--minutes N] [--seed S] [--keep]   fresh inputs for all targets in turn, or for one (default: 10 minutes, a seed that is told)
        fuzz TARGET --replay FILE                         one input again
          --keep: inputs that did something new join tests/Fuzz/Corpus
        exit code: 0 nothing found; 1 a failure; 64 wrong arguments
        """;

    /// <summary>Null where they make no sense.</summary>
    public static Arguments? Parse(string[] args)
    {
        var arguments = new Arguments(null, 10, (uint)RandomNumberGenerator.GetInt32(int.MaxValue), null, Keep: false);
        for (int i = 0; i < args.Length; i++)
        {
            string value = i + 1 < args.Length ? args[i + 1] : string.Empty;
            bool isFlag = args[i].StartsWith('-');
            Arguments? next = args[i] switch
            {
                "--keep" => arguments with { Keep = true },
                "--minutes" when double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double minutes) && minutes > 0 => arguments with { Minutes = minutes },
                "--seed" when ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed) => arguments with { Seed = seed },
                "--replay" when value.Length > 0 => arguments with { Replay = value },
                { } name when !isFlag && arguments.Target is null && Catalogue.Names.Contains(name) => arguments with { Target = name },
                _ => null,
            };
            if (next is null)
            {
                Console.Error.WriteLine($"{args[i]} {(isFlag ? value : $"is no target; there are {string.Join(", ", Catalogue.Names)}")}");
                return null;
            }

            i += isFlag && args[i] != "--keep" ? 1 : 0;
            arguments = next;
        }

        return arguments.Replay is not null && arguments.Target is null ? null : arguments;
    }
}
