using System.Globalization;

namespace MetaStore.Simulation;

/// <summary>Everything that happens in a run, folded into one number: two runs of a seed must agree on it. Printed on request.</summary>
internal sealed class Trace(TextWriter? output)
{
    public ulong Hash { get; private set; } = 14695981039346656037;

    public void Add(long time, string what, ulong first = 0, ulong second = 0, ulong third = 0)
    {
        Fold((ulong)time);
        foreach (char c in what)
        {
            Fold(c);
        }

        Fold(first);
        Fold(second);
        Fold(third);
        output?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{time / 1e9,12:F6} {what} {first:x} {second} {third}"));
    }

    /// <summary>A line for people; no part of the hash.</summary>
    public void Note(long time, string text) =>
        output?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{time / 1e9,12:F6} # {text}"));

    private void Fold(ulong value)
    {
        Hash ^= value;
        Hash *= 1099511628211;
        Hash ^= Hash >> 31;
    }
}

/// <summary>A run has shown a defect. The kind decides the program's exit code.</summary>
internal sealed class SimulationFailure(FailureKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public FailureKind Kind { get; } = kind;
}

/// <summary>What a failed run has shown. The numbers are exit codes.</summary>
internal enum FailureKind
{
    /// <summary>A wrong answer, or a broken invariant.</summary>
    Correctness = 1,

    /// <summary>No progress though nothing was wrong any more.</summary>
    Liveness = 2,

    /// <summary>The program threw what it never should.</summary>
    Crash = 3,
}
