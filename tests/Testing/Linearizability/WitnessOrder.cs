namespace MetaStore.Testing.Linearizability;

/// <summary>
/// Tries the order that the store itself claims (<see cref="RegisterOperation.Hint"/>). If that order respects real time and every
/// answer is right in it, the history is linearizable, whoever made the order up; if not, nothing is known and the search decides.
/// Operations without an answer that nobody saw have no place in it: they are slipped in where an answer needs them, fewest first.
/// </summary>
internal sealed class WitnessOrder
{
    private const int ConfigurationsMax = 500;

    private readonly long[] _openPlaces;
    private readonly RegisterOperation[] _order;
    private readonly RegisterOperation[][] _kinds;
    private readonly long[] _firstReturnFrom;
    private readonly bool _isComplete;

    /// <param name="operations">The operations on one key.</param>
    /// <param name="openPlaces">The places, in rising order, at which no operation with a hint stands: where unseen ones may have been.</param>
    public WitnessOrder(IReadOnlyList<RegisterOperation> operations, long[] openPlaces)
    {
        _openPlaces = openPlaces;
        _isComplete = operations.All(o => o.IsUnknown || o.Hint != long.MaxValue);
        _order = [.. operations.Where(o => o.Hint != long.MaxValue).OrderBy(o => o.Hint).ThenBy(o => o.Invoked)];

        // Alike and unseen: they differ only in when they began, so the earliest that is left stands for its kind.
        _kinds = [.. operations.Where(o => o.Hint == long.MaxValue && o.Action != RegisterAction.Get)
            .GroupBy(o => (o.Action, o.Value, o.ExpectedVersion))
            .Select(g => g.OrderBy(o => o.Invoked).ToArray())];
        _firstReturnFrom = new long[_order.Length + 1];
        _firstReturnFrom[^1] = long.MaxValue;
        for (int i = _order.Length - 1; i >= 0; i--)
        {
            _firstReturnFrom[i] = Math.Min(_order[i].Returned, _firstReturnFrom[i + 1]);
        }
    }

    public bool Holds()
    {
        var configurations = new Frontier();
        configurations.Add(RegisterState.Absent, new int[_kinds.Length]);
        for (int i = 0; i < _order.Length && _isComplete; i++)
        {
            if (_order[i].Invoked > _firstReturnFrom[i + 1])
            {
                return false;
            }

            configurations = Step(configurations, i);
            if (configurations.Count == 0)
            {
                return false;
            }
        }

        return _isComplete;
    }

    private int PlacesBefore(int position)
    {
        long from = position == 0 ? long.MinValue : _order[position - 1].Hint;
        return Math.Max(0, FirstAt(_order[position].Hint) - FirstAt(from));
    }

    private int FirstAt(long place)
    {
        int found = Array.BinarySearch(_openPlaces, place);
        return found < 0 ? ~found : found;
    }

    /// <summary>What can be after the operation at a position, given what could be before it.</summary>
    private Frontier Step(Frontier before, int position)
    {
        var after = new Frontier();
        Frontier reached = before;
        for (int places = PlacesBefore(position); ; places--)
        {
            foreach ((RegisterState state, int[] used) in reached.All)
            {
                if (RegisterModel.Apply(state, _order[position]) is RegisterState next)
                {
                    after.Add(next, used);
                }
            }

            if (places == 0 || reached.Count == 0)
            {
                return after;
            }

            reached = SlipIn(reached, _firstReturnFrom[position]);
        }
    }

    private Frontier SlipIn(Frontier before, long firstReturn)
    {
        var after = new Frontier();
        foreach ((RegisterState state, int[] used) in before.All)
        {
            for (int kind = 0; kind < _kinds.Length; kind++)
            {
                if (used[kind] == _kinds[kind].Length || _kinds[kind][used[kind]].Invoked > firstReturn)
                {
                    continue;
                }

                RegisterState? next = RegisterModel.Apply(state, _kinds[kind][used[kind]]);
                if (next is RegisterState changed && changed != state)
                {
                    int[] nowUsed = (int[])used.Clone();
                    nowUsed[kind]++;
                    after.Add(changed, nowUsed);
                }
            }
        }

        return after;
    }

    /// <summary>
    /// Configurations: a state, and how many of each kind have been slipped in to reach it. Of two with the same state, the one that
    /// used no more of any kind can do all that the other can, so the other is dropped.
    /// </summary>
    private sealed class Frontier
    {
        private readonly Dictionary<RegisterState, List<int[]>> _byState = [];

        public int Count { get; private set; }

        public IEnumerable<(RegisterState State, int[] Used)> All => _byState.SelectMany(p => p.Value.Select(used => (p.Key, used)));

        public void Add(RegisterState state, int[] used)
        {
            if (!_byState.TryGetValue(state, out List<int[]>? known))
            {
                _byState.Add(state, known = []);
            }

            if (Count >= ConfigurationsMax || known.Exists(other => UsesNoMore(other, used)))
            {
                return;
            }

            Count -= known.RemoveAll(other => UsesNoMore(used, other));
            known.Add(used);
            Count++;
        }

        private static bool UsesNoMore(int[] left, int[] right)
        {
            for (int i = 0; i < left.Length; i++)
            {
                if (left[i] > right[i])
                {
                    return false;
                }
            }

            return true;
        }
    }
}
