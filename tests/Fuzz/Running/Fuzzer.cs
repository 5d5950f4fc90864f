using MetaStore.Simulation;

namespace MetaStore.Fuzz.Running;

/// <summary>What a run has come to.</summary>
/// <param name="Inputs">Fresh inputs that were run.</param>
/// <param name="Outcomes">Different ways in which inputs ended.</param>
/// <param name="Novel">Inputs of this run that were the first of their outcome, smallest first.</param>
/// <param name="Failure">What was found; null where all held.</param>
/// <param name="FailedInput">By what input, made as small as it goes.</param>
internal sealed record FuzzReport(long Inputs, int Outcomes, IReadOnlyList<byte[]> Novel, Exception? Failure, byte[]? FailedInput);

/// <summary>
/// Runs one target: first what is kept, then inputs made of it. An input whose outcome (see <see cref="FuzzTarget.Run"/>) was not seen before joins those that others are made of: a guide
/// that is coarser than counted branches, and needs no build of its own. The same seed, kept inputs and target give the same inputs in the same order.
/// </summary>
internal sealed class Fuzzer(FuzzTarget target, ulong seed)
{
    private const int PoolMax = 4096;
    private const int OutcomesMax = 1 << 16;

    private readonly List<byte[]> _pool = [];
    private readonly HashSet<string> _outcomes = new(StringComparer.Ordinal);
    private readonly List<byte[]> _novel = [];

    /// <summary>Runs all that is kept, then fresh inputs for as long as it is told to go on; ends at the first failure.</summary>
    /// <param name="kept">Inputs to begin with, besides the target's own.</param>
    /// <param name="goesOn">Asked before each fresh input, with the number of those before it.</param>
    public FuzzReport Run(IEnumerable<byte[]> kept, Func<long, bool> goesOn)
    {
        using var last = new LastInput(target.Name, target.BytesMax);
        using var watch = new HangWatch(target.Name);
        long inputs = 0;
        byte[] input = [];
        try
        {
            foreach (byte[] old in target.Seeds().Concat(kept))
            {
                input = old.Length <= target.BytesMax ? old : old[..target.BytesMax];
                _pool.Add(input);
                _outcomes.Add(RunOne(input, last, watch));
            }

            var random = new SimulationRandom(seed);
            for (; goesOn(inputs); inputs++)
            {
                input = new Mutator(random.Branch(), target.Words, target.BytesMax).Make(_pool);
                Note(input, RunOne(input, last, watch), random);
            }

            return Report(inputs, null, null);
        }
#pragma warning disable CA1031 // Whatever a target throws is a finding.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return Report(inputs, e, Reducer.Reduce(input, smaller => Fails(smaller, e, last, watch)));
        }
    }

    private string RunOne(byte[] input, LastInput last, HangWatch watch)
    {
        last.Begin(input);
        watch.Begin(input);
        try
        {
            return target.Run(input);
        }
        finally
        {
            watch.End();
            last.End();
        }
    }

    private bool Fails(byte[] input, Exception before, LastInput last, HangWatch watch)
    {
        try
        {
            RunOne(input, last, watch);
            return false;
        }
#pragma warning disable CA1031 // As above.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return Shape.Of(e) == Shape.Of(before);
        }
    }

    private void Note(byte[] input, string outcome, SimulationRandom random)
    {
        if (_outcomes.Count >= OutcomesMax || !_outcomes.Add(outcome))
        {
            return;
        }

        _novel.Add(input);
        if (_pool.Count < PoolMax)
        {
            _pool.Add(input);
        }
        else
        {
            _pool[random.Next(_pool.Count)] = input;
        }
    }

    private FuzzReport Report(long inputs, Exception? failure, byte[]? failed) =>
        new(inputs, _outcomes.Count, [.. _novel.OrderBy(novel => novel.Length)], failure, failed);
}

/// <summary>Makes an input smaller for as long as it still does what it did.</summary>
internal static class Reducer
{
    private const int TriesMax = 3000;

    public static byte[] Reduce(byte[] input, Func<byte[], bool> stillFails)
    {
        int tries = 0;
        for (int piece = Math.Max(1, input.Length / 2); piece >= 1; piece /= 2)
        {
            for (int at = 0; at + piece <= input.Length && tries < TriesMax; tries++)
            {
                byte[] smaller = [.. input[..at], .. input[(at + piece)..]];
                if (stillFails(smaller))
                {
                    input = smaller;
                }
                else
                {
                    at += piece;
                }
            }
        }

        return input;
    }
}
