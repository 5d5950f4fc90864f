using System.CommandLine;
using System.Globalization;

namespace MetaStore.Server.CommandLine;

/// <summary>Options whose errors name the flag, what was given and what would be right.</summary>
internal static class Flags
{
    public static Option<string?> Text(string name, string description) => new(name) { Description = description };

    public static Option<string> Text(string name, string description, string value) =>
        new(name) { Description = description, DefaultValueFactory = _ => value };

    public static Option<bool> Switch(string name, string description) => new(name) { Description = description };

    public static Option<long> Number(string name, string description, long value, long least, long most) => new(name)
    {
        Description = description,
        DefaultValueFactory = _ => value,
        CustomParser = result => Number(result, name, least, most) ?? value,
    };

    /// <summary>Null where it is left out.</summary>
    public static Option<long?> OptionalNumber(string name, string description, long least, long most) => new(name)
    {
        Description = description,
        HelpName = "number",
        CustomParser = result => Number(result, name, least, most),
    };

    public static Argument<long> NumberArgument(string name, string description, long least, long most) => new(name)
    {
        Description = description,
        CustomParser = result => Number(result, name, least, most) ?? least,
    };

    public static Option<ulong?> Seed(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = result =>
        {
            string given = Given(result);
            if (ulong.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
            {
                return number;
            }

            result.AddError($"{name} is \"{given}\"; it must be a whole number from 0 to {ulong.MaxValue}.");
            return null;
        },
    };

    /// <summary>One of some words. The first is the default.</summary>
    public static DefaultedOption<T> Choice<T>(string name, string description, params (string Word, T Value)[] choices)
    {
        string words = string.Join("|", choices.Select(choice => choice.Word));
        return new DefaultedOption<T>(name, choices[0].Value)
        {
            Description = $"{description}: {words} (default: {choices[0].Word})",
            HelpName = words,
            CustomParser = result =>
            {
                string given = Given(result);
                foreach ((string word, T value) in choices)
                {
                    if (string.Equals(word, given, StringComparison.OrdinalIgnoreCase))
                    {
                        return value;
                    }
                }

                result.AddError($"{name} is \"{given}\"; it must be one of {string.Join(", ", choices.Select(choice => choice.Word))}.");
                return choices[0].Value;
            },
        };
    }

    /// <summary>A time from 10 ms to an hour.</summary>
    public static DefaultedOption<TimeSpan> Time(string name, string description, TimeSpan value) =>
        Time(name, description, value, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), "a number with ms, s or m behind it, from 10ms to 60m, such as 5s");

    public static DefaultedOption<TimeSpan> Time(string name, string description, TimeSpan value, TimeSpan least, TimeSpan most, string right) => new(name, value)
    {
        Description = $"{description}, such as 500ms, 10s or 2m{(value > TimeSpan.Zero ? $" (default: {value.TotalSeconds}s)" : string.Empty)}",
        HelpName = "time",
        CustomParser = result =>
        {
            string given = Given(result);
            if (ParseTime(given, most) is { } time && time >= least)
            {
                return time;
            }

            result.AddError($"{name} is \"{given}\"; it must be {right}.");
            return value;
        },
    };

    private static long? Number(System.CommandLine.Parsing.ArgumentResult result, string name, long least, long most)
    {
        string given = Given(result);
        if (long.TryParse(given, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) && number >= least && number <= most)
        {
            return number;
        }

        result.AddError($"{name} is \"{given}\"; it must be a whole number from {least} to {most}.");
        return null;
    }

    private static string Given(System.CommandLine.Parsing.ArgumentResult result) => result.Tokens.Count == 1 ? result.Tokens[0].Value : string.Empty;

    /// <summary>Numbers with their units behind them, as Go writes times: 500ms, 1.5h, 2h0m0s, 0. Null where it is none, or more than the most.</summary>
    public static TimeSpan? ParseTime(string text, TimeSpan most)
    {
        double sum = 0;
        ReadOnlySpan<char> rest = text == "0" ? [] : text;
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExcept("0123456789.");
            int letters = digits < 0 ? 0 : rest[digits..].IndexOfAny("0123456789.");
            ReadOnlySpan<char> unit = digits < 0 ? [] : letters < 0 ? rest[digits..] : rest.Slice(digits, letters);
            double milliseconds = unit switch
            {
                "ns" => 1e-6,
                "us" or "µs" or "μs" => 1e-3,
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => double.NaN,
            };
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
            {
                return null;
            }

            sum += number * milliseconds;
            rest = rest[(digits + unit.Length)..];
        }

        return text.Length > 0 && sum <= most.TotalMilliseconds ? TimeSpan.FromMilliseconds(sum) : null;
    }
}

/// <summary>An option that says in its own words what holds where it is left out: the help would print the default as no command line may have it.</summary>
internal sealed class DefaultedOption<T>(string name, T value) : Option<T>(name)
{
    public T Read(ParseResult result) => result.GetResult(this) is null ? value : result.GetValue(this)!;
}
