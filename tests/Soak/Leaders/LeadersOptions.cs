using System.Globalization;

namespace MetaStore.Soak;

/// <summary>What a run of <see cref="LeadersRun"/> does.</summary>
internal sealed record LeadersOptions
{
    public const string Usage = """
        usage: soak leaders [--minutes N] [--every N] [--rate N] [--seed N]
          --minutes N     how long, at least 1 (default 60)
          --every N       seconds from one change of leader to the next, at least 1 (default 10)
          --rate N        writes a second, at least 1 (default 10)
          --seed N        of what changes how (default: drawn, and printed)
        exit code: 0 no write was ever stuck, every key has its last value, all nodes have the same; 1 otherwise; 64 wrong arguments
        """;

    public int Minutes { get; private init; } = 60;

    public int EverySeconds { get; private init; } = 10;

    public int Rate { get; private init; } = 10;

    public int Seed { get; private init; } = Random.Shared.Next();

    /// <summary>Null where the arguments are wrong; what is wrong has been written.</summary>
    public static LeadersOptions? Parse(string[] args)
    {
        var options = new LeadersOptions();
        for (int i = 0; i < args.Length; i += 2)
        {
            string text = i + 1 < args.Length ? args[i + 1] : string.Empty;
            bool isNumber = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number);
            LeadersOptions? next = (args[i], isNumber) switch
            {
                ("--minutes", true) when number >= 1 => options with { Minutes = number },
                ("--every", true) when number >= 1 => options with { EverySeconds = number },
                ("--rate", true) when number >= 1 => options with { Rate = number },
                ("--seed", true) => options with { Seed = number },
                _ => null,
            };
            if (next is null)
            {
                Console.Error.WriteLine($"{args[i]} {text}: not understood\n{Usage}");
                return null;
            }

            options = next;
        }

        return options;
    }
}
