using System.Numerics;

namespace MetaStore.Schedules.Scheduling;

/// <summary>Says who goes on.</summary>
internal interface IStrategy
{
    /// <summary>A schedule begins, of so many threads; false where there is none left.</summary>
    bool TryBegin(int threads);

    /// <summary>
    /// One of the enabled threads, of which there are at least two bits, or one that is not <paramref name="current"/>. <paramref name="current"/> asks at a mark, and is enabled
    /// unless it waits or has ended.
    /// </summary>
    int Choose(int current, uint enabled);

    /// <summary>The schedule is over.</summary>
    void End();
}

/// <summary>
/// All schedules with at most so many preemptions, depth first (M. Musuvathi and S. Qadeer, "Iterative context bounding for systematic testing of multithreaded programs",
/// PLDI 2007). A switch away from a thread that waits or has ended is none.
/// </summary>
internal sealed class ExhaustiveStrategy(int preemptionsMax) : IStrategy
{
    private readonly List<Node> _path = [];
    private int _depth;
    private bool _isBegun;

    public bool TryBegin(int threads)
    {
        if (_isBegun && !Advance())
        {
            return false;
        }

        _isBegun = true;
        _depth = 0;
        return true;
    }

    public int Choose(int current, uint enabled)
    {
        if (_depth < _path.Count)
        {
            return _path[_depth++].Chosen;
        }

        int before = _depth == 0 ? 0 : _path[_depth - 1].Preemptions;
        bool isPreemption = (enabled >> current & 1) != 0;
        int first = isPreemption ? current : BitOperations.TrailingZeroCount(enabled);
        uint others = isPreemption && before == preemptionsMax ? 0 : enabled & ~(1u << first);
        _path.Add(new Node(first, others, before, isPreemption));
        _depth++;
        return first;
    }

    public void End() => Invariant.Check(_depth == _path.Count, "a schedule ended before its prefix: the scenario depends on more than the schedule");

    /// <summary>The next path: the last place where somebody else could have gone on.</summary>
    private bool Advance()
    {
        while (_path.Count > 0 && _path[^1].Others == 0)
        {
            _path.RemoveAt(_path.Count - 1);
        }

        if (_path.Count == 0)
        {
            return false;
        }

        Node last = _path[^1];
        int next = BitOperations.TrailingZeroCount(last.Others);
        int before = _path.Count == 1 ? 0 : _path[^2].Preemptions;
        _path[^1] = new Node(next, last.Others & ~(1u << next), before + (last.IsPreemption ? 1 : 0), last.IsPreemption);
        return true;
    }

    /// <param name="Chosen">Who goes on.</param>
    /// <param name="Others">Who has yet to be tried.</param>
    /// <param name="Preemptions">How many there are up to here.</param>
    /// <param name="IsPreemption">Whether anybody but the first choice takes the processor from one who could go on.</param>
    private readonly record struct Node(int Chosen, uint Others, int Preemptions, bool IsPreemption);
}

/// <summary>
/// Random priorities, and a few random steps at which whoever runs becomes the least of all (S. Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
/// bugs", ASPLOS 2010): a bug that takes d ordered steps is found in each schedule with a probability of at least 1/(n k^(d-1)), for n threads and k steps. Each schedule follows
/// from its seed, which also draws d, and from <paramref name="steps"/>, the steps of the longest schedule that is expected.
/// </summary>
internal sealed class PctStrategy(ulong seed, long count, int steps) : IStrategy
{
    private const int DepthMin = 2;
    private const int DepthMax = 6;

    private readonly int[] _priorities = new int[Scheduler.WorkersMax];
    private readonly int[] _changes = new int[DepthMax - 1];
    private int _changeCount;
    private ulong _state;
    private long _begun;
    private int _step;

    public bool TryBegin(int threads)
    {
        if (_begun == count)
        {
            return false;
        }

        _state = (seed + (ulong)_begun++) * 0x9E37_79B9_7F4A_7C15;
        _step = 0;
        _changeCount = DepthMin - 1 + (int)(Next() % (DepthMax - DepthMin + 1));
        for (int i = 0; i < threads; i++)
        {
            int place = (int)(Next() % (ulong)(i + 1));
            _priorities[i] = _priorities[place];
            _priorities[place] = DepthMax + i;
        }

        for (int i = 0; i < _changeCount; i++)
        {
            _changes[i] = 1 + (int)(Next() % (ulong)steps);
        }

        return true;
    }

    public int Choose(int current, uint enabled)
    {
        for (int i = 0; i < _changeCount; i++)
        {
            if (_changes[i] == _step)
            {
                _priorities[current] = i;
            }
        }

        _step++;
        int best = -1;
        for (uint rest = enabled; rest != 0; rest &= rest - 1)
        {
            int thread = BitOperations.TrailingZeroCount(rest);
            best = best < 0 || _priorities[thread] > _priorities[best] ? thread : best;
        }

        return best;
    }

    public void End()
    {
    }

    private ulong Next()
    {
        _state += 0x9E37_79B9_7F4A_7C15;
        ulong mixed = (_state ^ (_state >> 30)) * 0xBF58_476D_1CE4_E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB;
        return mixed ^ (mixed >> 31);
    }
}

/// <summary>One schedule again, from its choices. Behind their end whoever runs goes on.</summary>
internal sealed class ReplayStrategy(Choices choices) : IStrategy
{
    private bool _isBegun;
    private int _step;

    public bool TryBegin(int threads)
    {
        bool isFirst = !_isBegun;
        _isBegun = true;
        _step = 0;
        return isFirst;
    }

    public int Choose(int current, uint enabled)
    {
        int chosen = _step < choices.Count ? choices[_step++] : (enabled >> current & 1) != 0 ? current : BitOperations.TrailingZeroCount(enabled);
        Invariant.Check((enabled >> chosen & 1) != 0, $"choice {_step} is thread {chosen}, which cannot go on: these choices are another scenario's, or another build's");
        return chosen;
    }

    public void End()
    {
    }
}
