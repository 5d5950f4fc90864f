using System.CommandLine;
using System.Globalization;

namespace MetaStore.Load;

/// <summary>What the command line asks for.</summary>
internal sealed record LoadOptions
{
    public static readonly string[] Operations = ["put", "get", "get-serializable", "range", "mixed80", "txn", "delete", "none"];

    public required string Operation { get; init; }

    public required IReadOnlyList<string> Endpoints { get; init; }

    public required int Clients { get; init; }

    public required int Connections { get; init; }

    public required bool Pin { get; init; }

    public required TimeSpan Duration { get; init; }

    public required TimeSpan Warmup { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required int KeySize { get; init; }

    public required int ValueSize { get; init; }

    public required long KeySpace { get; init; }

    public required long Prefill { get; init; }

    public required long RangeLimit { get; init; }

    public required int Seed { get; init; }

    public required bool Json { get; init; }

    public required IReadOnlyList<int> Pids { get; init; }

    public required string Label { get; init; }
}

/// <summary>The flags, their defaults and their checks: a wrong one is named, with what would be right.</summary>
internal sealed class LoadCommandLine
{
    private readonly Option<string> _operation = new("--op") { Description = string.Join('|', LoadOptions.Operations), DefaultValueFactory = _ => "put" };
    private readonly Option<string> _endpoints = new("--endpoints") { Description = "comma-separated host:port", DefaultValueFactory = _ => "127.0.0.1:2379" };
    private readonly Option<int> _clients = Number("--clients", "closed-loop workers", 1, 1, 1_000_000);
    private readonly Option<int> _connections = Number("--connections", "client objects, one connection per endpoint each; worker i uses number i mod N", 1, 1, 100_000);
    private readonly Option<bool> _pin = new("--pin") { Description = "pin connection i to endpoint i mod n, instead of following the leader" };
    private readonly Option<TimeSpan> _duration = Time("--duration", "measure this long", "10s");
    private readonly Option<TimeSpan> _warmup = Time("--warmup", "run the same load this long first, unmeasured", "1s");
    private readonly Option<TimeSpan> _timeout = Time("--timeout", "per request", "30s");
    private readonly Option<int> _keySize = Number("--key-size", "bytes per key, with room for prefix and number", 32, 22, 65_536);
    private readonly Option<int> _valueSize = Number("--value-size", "bytes per value", 256, 0, 1 << 20);
    private readonly Option<int> _keySpace = Number("--key-space", "keys are numbered 0..key-space-1", 100_000, 1, int.MaxValue);
    private readonly Option<int> _prefill = Number("--prefill", "first write keys 0..N-1, 100 per transaction", 0, 0, int.MaxValue);
    private readonly Option<int> _rangeLimit = Number("--range-limit", "keys returned by one range", 10, 1, 1_000_000);
    private readonly Option<int> _seed = Number("--seed", "seed of keys and values", 1000, 0, int.MaxValue);
    private readonly Option<bool> _json = new("--json") { Description = "one JSON line instead of a table" };
    private readonly Option<string> _pids = new("--pids") { Description = "comma-separated server pids, for CPU and RSS", DefaultValueFactory = _ => string.Empty };
    private readonly Option<string> _label = new("--label") { Description = "copied to the output", DefaultValueFactory = _ => string.Empty };

    public LoadCommandLine(Func<LoadOptions, Task<int>> run)
    {
        Root = new RootCommand("Closed-loop load on a MetaStore cluster over the binary protocol: each worker sends a request, waits, sends the next.")
        {
            _operation, _endpoints, _clients, _connections, _pin, _duration, _warmup, _timeout, _keySize, _valueSize,
            _keySpace, _prefill, _rangeLimit, _seed, _json, _pids, _label,
        };
        _operation.Validators.Add(result =>
        {
            string given = result.GetValueOrDefault<string>();
            if (!LoadOptions.Operations.Contains(given, StringComparer.Ordinal))
            {
                result.AddError($"--op is \"{given}\"; it must be one of {string.Join(", ", LoadOptions.Operations)}.");
            }
        });
        _pids.Validators.Add(result =>
        {
            string given = result.GetValueOrDefault<string>();
            if (Split(given).Any(pid => !int.TryParse(pid, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
            {
                result.AddError($"--pids is \"{given}\"; it must be process ids with commas between, such as 12,34.");
            }
        });
        Root.SetAction((result, _) => run(Read(result)));
    }

    public RootCommand Root { get; }

    private static Option<int> Number(string name, string description, int value, int least, int most)
    {
        var option = new Option<int>(name) { Description = $"{description} ({least} to {most})", DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            // Where the text is no number at all, the parser itself has said so.
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out int given) && (given < least || given > most))
            {
                result.AddError($"{name} is {given}; it must lie between {least} and {most}.");
            }
        });
        return option;
    }

    private static Option<TimeSpan> Time(string name, string description, string value) => new(name)
    {
        Description = $"{description}, such as 500ms, 10s or 2m",
        DefaultValueFactory = _ => ParseTime(value)!.Value,
        CustomParser = result =>
        {
            string given = result.Tokens.Count == 1 ? result.Tokens[0].Value : string.Empty;
            if (ParseTime(given) is { } time)
            {
                return time;
            }

            result.AddError($"{name} is \"{given}\"; it must be a number with ms, s or m behind it, such as 10s.");
            return default;
        },
    };

    private static TimeSpan? ParseTime(string text)
    {
        (string unit, double milliseconds)[] units = [("ms", 1), ("s", 1000), ("m", 60_000)];
        foreach ((string unit, double milliseconds) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                && number * milliseconds < TimeSpan.FromDays(1).TotalMilliseconds)
            {
                return TimeSpan.FromMilliseconds(number * milliseconds);
            }
        }

        return null;
    }

    private static string[] Split(string list) => list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private LoadOptions Read(ParseResult result) => new()
    {
        Operation = result.GetValue(_operation)!,
        Endpoints = Split(result.GetValue(_endpoints)!),
        Clients = result.GetValue(_clients),
        Connections = Math.Min(result.GetValue(_connections), result.GetValue(_clients)),
        Pin = result.GetValue(_pin),
        Duration = result.GetValue(_duration),
        Warmup = result.GetValue(_warmup),
        Timeout = result.GetValue(_timeout),
        KeySize = result.GetValue(_keySize),
        ValueSize = result.GetValue(_valueSize),
        KeySpace = result.GetValue(_keySpace),
        Prefill = result.GetValue(_prefill),
        RangeLimit = result.GetValue(_rangeLimit),
        Seed = result.GetValue(_seed),
        Json = result.GetValue(_json),
        Pids = [.. Split(result.GetValue(_pids)!).Select(pid => int.Parse(pid, CultureInfo.InvariantCulture))],
        Label = result.GetValue(_label)!,
    };
}
