namespace MetaStore.Schedules;

/// <summary>The command line. See docs/TESTING.md.</summary>
internal sealed record Arguments(long Count, ulong Seed, int Jobs, string? Scenario, int? Preemptions, string? Replay, bool Twins)
{
    public const string Usage = """
        schedules [--count N] [--seed S] [--jobs J] [--scenario NAME]     random schedules of all scenarios, or of one
        schedules [--scenario NAME] --exhaustive P                        all schedules with at most P preemptions
        schedules --scenario NAME --replay CHOICES                        one schedule again, mark by mark
        schedules --twins                                                 how soon each bug is caught
        """;

    /// <summary>Null where they make no sense.</summary>
    public static Arguments? Parse(string[] args)
    {
        var arguments = new Arguments(100_000, 1, Environment.ProcessorCount, null, null, null, Twins: false);
        for (int i = 0; i < args.Length; i++)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            Arguments? next = args[i] switch
            {
                "--twins" => arguments with { Twins = true },
                "--count" when long.TryParse(value, out long count) && count > 0 => arguments with { Count = count },
                "--seed" when ulong.TryParse(value, out ulong seed) => arguments with { Seed = seed },
                "--jobs" when int.TryParse(value, out int jobs) && jobs > 0 => arguments with { Jobs = jobs },
                "--exhaustive" when int.TryParse(value, out int preemptions) && preemptions >= 0 => arguments with { Preemptions = preemptions },
                "--scenario" when Catalogue.All.Any(c => c.Name == value) => arguments with { Scenario = value },
                "--replay" when value.Length > 0 => arguments with { Replay = value },
                _ => null,
            };
            if (next is null)
            {
                return null;
            }

            i += args[i] == "--twins" ? 0 : 1;
            arguments = next;
        }

        return arguments.Replay is not null && arguments.Scenario is null ? null : arguments;
    }
}
