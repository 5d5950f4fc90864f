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

    public static DefaultedOption<TimeSpan> Time(string name, string description, TimeSpan value) => new(name, value)
    {
        Description = $"{description}, such as 500ms, 10s or 2m{(value > TimeSpan.Zero ? $" (default: {value.TotalSeconds}s)" : string.Empty)}",
        HelpName = "time",
        CustomParser = result =>
        {
            string given = Given(result);
            if (ParseTime(given, TimeSpan.FromHours(1)) is { } time && time >= TimeSpan.FromMilliseconds(10))
            {
                return time;
            }

            result.AddError($"{name} is \"{given}\"; it must be a number with ms, s or m behind it, from 10ms to 60m, such as 5s.");
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

    /// <summary>A number with its unit behind it; null where it is none, or more than the most.</summary>
    public static TimeSpan? ParseTime(string text, TimeSpan most)
    {
        (string Unit, double Milliseconds)[] units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        foreach ((string unit, double milliseconds) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                && number * milliseconds <= most.TotalMilliseconds)
            {
                return TimeSpan.FromMilliseconds(number * milliseconds);
            }
        }

        return null;
    }
}

/// <summary>An option that says in its own words what holds where it is left out: the help would print the default as no command line may have it.</summary>
internal sealed class DefaultedOption<T>(string name, T value) : Option<T>(name)
{
    public T Read(ParseResult result) => result.GetResult(this) is null ? value : result.GetValue(this)!;
}
