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
        CustomParser = result =>
        {
            string given = Given(result);
            if (long.TryParse(given, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) && number >= least && number <= most)
            {
                return number;
            }

            result.AddError($"{name} is \"{given}\"; it must be a whole number from {least} to {most}.");
            return value;
        },
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
    public static Option<T> Choice<T>(string name, string description, params (string Word, T Value)[] choices)
    {
        string words = string.Join("|", choices.Select(choice => choice.Word));
        return new Option<T>(name)
        {
            Description = $"{description}: {words}",
            HelpName = words,
            DefaultValueFactory = _ => choices[0].Value,
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

    public static Option<TimeSpan> Time(string name, string description, TimeSpan value) => new(name)
    {
        Description = $"{description}, such as 500ms, 10s or 2m",
        HelpName = "time",
        DefaultValueFactory = _ => value,
        CustomParser = result =>
        {
            string given = Given(result);
            if (ParseTime(given) is { } time && time >= TimeSpan.FromMilliseconds(10))
            {
                return time;
            }

            result.AddError($"{name} is \"{given}\"; it must be a number with ms, s or m behind it, from 10ms to 60m, such as 5s.");
            return value;
        },
    };

    private static string Given(System.CommandLine.Parsing.ArgumentResult result) => result.Tokens.Count == 1 ? result.Tokens[0].Value : string.Empty;

    private static TimeSpan? ParseTime(string text)
    {
        (string Unit, double Milliseconds)[] units = [("ms", 1), ("s", 1000), ("m", 60_000)];
        foreach ((string unit, double milliseconds) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                && number * milliseconds <= 3_600_000)
            {
                return TimeSpan.FromMilliseconds(number * milliseconds);
            }
        }

        return null;
    }
}
