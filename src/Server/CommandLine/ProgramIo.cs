namespace MetaStore.Server.CommandLine;

/// <summary>What the program reads and writes. Bytes, for keys and values may be any.</summary>
internal sealed record ProgramIo(Stream Input, Stream Output, TextWriter Error, Func<string, string?> Environment)
{
    /// <summary>The names of all variables that <see cref="Environment"/> has.</summary>
    public IEnumerable<string> VariableNames { get; init; } = [];
}
