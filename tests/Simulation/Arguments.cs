using System.Globalization;

namespace MetaStore.Simulation;

/// <summary>The command line.</summary>
internal sealed record Arguments
{
    public const string Usage = """
        usage: [--seeds N] [--from S] [--jobs J] [--repeat-check K]   run seeds S .. S+N-1
               --seed X [--trace]                                     run one seed, with everything that happens
          --seeds N         how many seeds (default 100)
          --from S          the first (default 1)
          --jobs J          runs at a time (default: the processors)
          --repeat-check K  run each K-th seed twice and compare the trace hashes (default 100; 0: never)
          --until-failure   end at the first failure
          --minimize        take away from a failing run whatever it fails without, and say what is left
          --with A=1,B=2    other options than the seed draws; a failure prints their names
          --reads           short runs that are all about reads under the leader's lease, with clocks as wrong as they may be
          --drift P         each clock runs P percent fast or slow, in every run; beyond 10 the leader's lease is not safe
        exit code: 0 clean, 1 wrong answer or broken invariant, 2 no progress, 3 crash, 64 wrong arguments
        """;

    public ulong From { get; init; } = 1;

    public ulong Seeds { get; init; } = 100;

    public bool Single { get; init; }

    public bool Trace { get; init; }

    public bool Minimize { get; init; }

    /// <summary>Options in place of those that the seed draws, as Name=value with commas between; null: none.</summary>
    public string? With { get; init; }

    public bool UntilFailure { get; init; }

    public int Jobs { get; init; } = Environment.ProcessorCount;

    public ulong RepeatCheck { get; init; } = 100;

    /// <summary>Whether options are drawn by <see cref="RunOptions.DrawReads"/>.</summary>
    public bool Reads { get; init; }

    /// <summary>Percent by which clocks may be wrong; null: as the seed draws.</summary>
    public ulong? Drift { get; init; }

    public static Arguments? Parse(string[] args)
    {
        var arguments = new Arguments();
        for (int i = 0; i < args.Length; i++)
        {
            ulong value = 0;
            bool takesValue = args[i] is "--seeds" or "--from" or "--seed" or "--jobs" or "--repeat-check" or "--drift";
            if (takesValue && (i + 1 == args.Length || !ulong.TryParse(args[++i], CultureInfo.InvariantCulture, out value)))
            {
                Console.Error.WriteLine($"{args[Math.Min(i, args.Length - 1)]}: a number is expected\n{Usage}");
                return null;
            }

            if (args[i] == "--with")
            {
                arguments = arguments with { With = ++i < args.Length ? args[i] : string.Empty };
                if (RunOptions.ProblemOf(arguments.With!) is { } problem)
                {
                    Console.Error.WriteLine($"--with: {problem}\n{Usage}");
                    return null;
                }

                continue;
            }

            if (args[takesValue ? i - 1 : i] == "--seeds" && value == 0)
            {
                Console.Error.WriteLine($"--seeds is 0; it must be at least 1\n{Usage}");
                return null;
            }

            switch (takesValue ? args[i - 1] : args[i])
            {
                case "--seeds":
                    arguments = arguments with { Seeds = value };
                    break;
                case "--from":
                    arguments = arguments with { From = value };
                    break;
                case "--seed":
                    arguments = arguments with { From = value, Seeds = 1, Single = true };
                    break;
                case "--jobs":
                    arguments = arguments with { Jobs = Math.Max(1, (int)value) };
                    break;
                case "--repeat-check":
                    arguments = arguments with { RepeatCheck = value };
                    break;
                case "--drift":
                    arguments = arguments with { Drift = Math.Min(value, 99) };
                    break;
                case "--trace":
                    arguments = arguments with { Trace = true };
                    break;
                case "--reads":
                    arguments = arguments with { Reads = true };
                    break;
                case "--minimize":
                    arguments = arguments with { Minimize = true };
                    break;
                case "--until-failure":
                    arguments = arguments with { UntilFailure = true };
                    break;
                default:
                    Console.Error.WriteLine($"{args[i]}: unknown\n{Usage}");
                    return null;
            }
        }

        return arguments;
    }
}
