using MetaStore.Figures;

// All figures but pauses-saturated, or those of the kinds named; --small leaves out the stores of ten million keys, which want 8 GB.
bool isSmall = args.Contains("--small");
if (args.FirstOrDefault(arg => arg.StartsWith('-') && arg != "--small") is { } flag)
{
    Console.Error.WriteLine($"figures: there is no flag \"{flag}\"; there is --small");
    return 2;
}

int[] sizes = isSmall ? [10_000, 1_000_000] : [10_000, 1_000_000, 10_000_000];
string directory = Path.Combine("artifacts", "figures");
(string Name, Func<IEnumerable<Figure>> Run)[] kinds =
[
    ("memory", () => MemoryFigures.Run(sizes[1..])), // First: what the process takes is looked at.
    ("read", () => new ReadFigures().Run(sizes)),
    ("batch", WriteFigures.Batch),
    ("write", WriteFigures.Run),
    ("snapshot", () => SnapshotFigures.Run(directory)),
    ("watches", new NodeFigures(directory).Watches),
    ("leases", new NodeFigures(directory).Leases),
    ("server", () => ServerFigures.Run(directory)),
    ("pauses", () => new PauseFigures(directory, TimeSpan.FromMinutes(5), rate: 100_000).Run()),
    ("pauses-saturated", () => new PauseFigures(directory, TimeSpan.FromMinutes(5), rate: 0).Run()),
];
string[] wanted = [.. args.Where(arg => !arg.StartsWith('-'))];
if (wanted.Except(kinds.Select(kind => kind.Name)).FirstOrDefault() is { } unknown)
{
    Console.Error.WriteLine($"figures: there is no kind \"{unknown}\"; there are {string.Join(", ", kinds.Select(kind => kind.Name))}");
    return 2;
}

Console.WriteLine("name                                                  value unit              reference    ratio");
foreach ((string name, Func<IEnumerable<Figure>> run) in kinds)
{
    if (wanted.Contains(name) || (wanted.Length == 0 && name != "pauses-saturated"))
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true); // What the kind before has left is not this one's.
        foreach (Figure figure in run())
        {
            Console.WriteLine(figure);
        }
    }
}

return 0;
