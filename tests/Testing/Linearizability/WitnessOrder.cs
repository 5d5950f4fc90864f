namespace MetaStore.Testing.Linearizability;

/// <summary>
/// Tries the order that the store itself claims (<see cref="RegisterOperation.Hint"/>). If that order respects real time and every
/// answer is right in it, the history is linearizable, whoever made the order up; if not, nothing is known and the search decides.
/// Operations without an answer that nobody saw have no place in it: they are slipped in where an answer needs them, fewest first.
/// </summary>
internal sealed class WitnessOrder
{
    private const int ConfigurationsMax = 4000;

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
        var configurations = new HashSet<Configuration> { new(RegisterState.Absent, new int[_kinds.Length]) };
        for (int i = 0; i < _order.Length && _isComplete; i++)
        {
            if (_order[i].Invoked > _firstReturnFrom[i + 1])
            {
                return false;
            }

            configurations = Step(configurations, i, PlacesBefore(i));
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
    private HashSet<Configuration> Step(HashSet<Configuration> before, int position, int slippedInMax)
    {
        var after = new HashSet<Configuration>();
        HashSet<Configuration> reached = before;
        HashSet<Configuration> frontier = before;
        for (int slipped = 0; slipped <= slippedInMax; slipped++)
        {
            foreach (Configuration configuration in frontier)
            {
                if (after.Count < ConfigurationsMax && RegisterModel.Apply(configuration.State, _order[position]) is RegisterState state)
                {
                    after.Add(configuration with { State = state });
                }
            }

            frontier = slipped == slippedInMax ? [] : SlipIn(frontier, reached, _firstReturnFrom[position]);
        }

        return after;
    }

    private HashSet<Configuration> SlipIn(HashSet<Configuration> frontier, HashSet<Configuration> reached, long firstReturn)
    {
        var next = new HashSet<Configuration>();
        foreach (Configuration configuration in frontier)
        {
            for (int kind = 0; kind < _kinds.Length && next.Count < ConfigurationsMax; kind++)
            {
                int used = configuration.Used[kind];
                if (used == _kinds[kind].Length || _kinds[kind][used].Invoked > firstReturn)
                {
                    continue;
                }

                RegisterState? state = RegisterModel.Apply(configuration.State, _kinds[kind][used]);
                if (state is RegisterState changed && changed != configuration.State)
                {
                    int[] nowUsed = (int[])configuration.Used.Clone();
                    nowUsed[kind]++;
                    var slipped = new Configuration(changed, nowUsed);
                    if (!reached.Contains(slipped))
                    {
                        next.Add(slipped);
                    }
                }
            }
        }

        return next;
    }

    private readonly record struct Configuration(RegisterState State, int[] Used)
    {
        public bool Equals(Configuration other) => State == other.State && Used.AsSpan().SequenceEqual(other.Used);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.Add(State);
            foreach (int used in Used)
            {
                hash.Add(used);
            }

            return hash.ToHashCode();
        }
    }
}
