using System.Globalization;

namespace MetaStore.Soak;

/// <summary>What a run does.</summary>
internal sealed record MemoryOptions
{
    public const string Usage = """
        usage: soak [--minutes N] [--keys N] [--rate N] [--writers N] [--data-dir DIR]
          --minutes N     how long, at least 2 (default 60)
          --keys N        how many keys are overwritten (default 100000)
          --rate N        puts a second; 0: as fast as they go (default 0)
          --writers N     how many write at a time, each its own keys (default 32)
          --data-dir DIR  where the server keeps its data, an empty or missing directory (default: one that is removed at the end)
        (soak leaders is another run: soak leaders --help)
        exit code: 0 memory is level and every key has its last value; 1 it is not; 64 wrong arguments
        """;

    public int Minutes { get; private init; } = 60;

    public int Keys { get; private init; } = 100_000;

    public int Rate { get; private init; }

    public int Writers { get; private init; } = 32;

    public string? DataDirectory { get; private init; }

    /// <summary>By then everything that fills once is full: caches, pools, the log's spare segments. In a short run, half of it.</summary>
    public int SettledMinute => Math.Min(10, Minutes / 2);

    /// <summary>Minutes over which memory is averaged: it rises and falls with each snapshot, which comes every 64 MiB of log, up to two minutes apart.</summary>
    public int WindowMinutes => Minutes >= 20 ? 5 : 1;

    /// <summary>Null where the arguments are wrong; what is wrong has been written.</summary>
    public static MemoryOptions? Parse(string[] args)
    {
        var options = new MemoryOptions();
        for (int i = 0; i < args.Length; i += 2)
        {
            string text = i + 1 < args.Length ? args[i + 1] : string.Empty;
            bool isNumber = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number);
            MemoryOptions? next = (args[i], isNumber) switch
            {
                ("--minutes", true) when number >= 2 => options with { Minutes = number },
                ("--keys", true) when number >= 1 => options with { Keys = number },
                ("--rate", true) => options with { Rate = number },
                ("--writers", true) when number is >= 1 and <= 1000 => options with { Writers = number },
                ("--data-dir", _) when text.Length > 0 => options with { DataDirectory = text },
                _ => null,
            };
            if (next is null)
            {
                Console.Error.WriteLine($"{args[i]} {text}: not understood\n{Usage}");
                return null;
            }

            options = next;
        }

        return options with { Writers = Math.Min(options.Writers, options.Keys) };
    }
}
