namespace MetaStore.Testing.Linearizability;

/// <summary>
/// Decides whether the history of one key is linearizable: whether there is an order of its operations that respects real time and in
/// which each answer is right. The search of Wing and Gong with Lowe's cache of visited configurations ("Testing for
/// linearizability", 2016). Linearizability is local, so a history over many keys is checked key by key.
/// </summary>
public static class LinearizabilityChecker
{
    /// <summary>What the check came to.</summary>
    public enum Verdict
    {
        /// <summary>An order exists.</summary>
        Linearizable,

        /// <summary>None does.</summary>
        Violation,

        /// <summary>The search was given up; says nothing.</summary>
        Undecided,
    }

    /// <param name="operations">All operations on one key, in any order.</param>
    /// <param name="openPlaces">Where unseen operations may stand in the store's own order, rising; a shortcut, that never decides against a history.</param>
    /// <param name="stepsMax">Configurations to visit before giving up.</param>
    public static Verdict Check(IReadOnlyList<RegisterOperation> operations, long[]? openPlaces = null, long stepsMax = 2_000_000)
    {
        var search = new Search(operations, stepsMax);
        return search.WitnessHolds(openPlaces ?? []) ? Verdict.Linearizable : search.Run();
    }

    private sealed class Search
    {
        private readonly RegisterOperation[] _operations;
        private readonly long _stepsMax;
        private readonly HashSet<Configuration> _visited = [];
        private readonly Stack<Frame> _frames = new();
        private readonly int[] _answered;
        private readonly int[] _unanswered;
        private readonly ulong[] _linearized;
        private int _answersLeft;
        private int _firstOpen;

        public Search(IReadOnlyList<RegisterOperation> operations, long stepsMax)
        {
            // An unanswered read constrains nothing.
            _operations = Canonical([.. operations.Where(o => !(o.IsUnknown && o.Action == RegisterAction.Get))]);
            _stepsMax = stepsMax;
            _linearized = new ulong[(_operations.Length + 63) / 64];
            int[] byCall = [.. Enumerable.Range(0, _operations.Length).OrderBy(i => _operations[i].Invoked)];
            _answered = [.. byCall.Where(i => !_operations[i].IsUnknown)];
            _unanswered = [.. byCall.Where(i => _operations[i].IsUnknown)];
            _answersLeft = _answered.Length;
        }

        public bool WitnessHolds(long[] openPlaces) => new WitnessOrder(_operations, openPlaces).Holds();

        /// <summary>A configuration on the path: what may come next, in the order of trying, and how far that has been tried.</summary>
        private sealed class Frame(RegisterState state, int[] candidates, int chosen)
        {
            public RegisterState State { get; } = state;

            public int[] Candidates { get; } = candidates;

            /// <summary>The operation that led here; -1 at the root.</summary>
            public int Chosen { get; } = chosen;

            public int Next { get; set; }
        }

        public Verdict Run()
        {
            _frames.Push(new Frame(RegisterState.Absent, Candidates(), -1));
            for (long steps = 0; _answersLeft > 0; steps++)
            {
                if (steps > _stepsMax)
                {
                    return Verdict.Undecided;
                }

                Frame frame = _frames.Peek();
                if (frame.Next < frame.Candidates.Length)
                {
                    int operation = frame.Candidates[frame.Next++];
                    if (TryTake(operation, frame.State) is RegisterState after)
                    {
                        _frames.Push(new Frame(after, Candidates(), operation));
                    }

                    continue;
                }

                _frames.Pop();
                if (frame.Chosen < 0)
                {
                    return Verdict.Violation;
                }

                Flip(frame.Chosen);
                _answersLeft += _operations[frame.Chosen].IsUnknown ? 0 : 1;
                _firstOpen = 0;
            }

            return Verdict.Linearizable;
        }

        /// <summary>Values that no answer shows cannot be told apart: they become one, and their operations interchangeable.</summary>
        private static RegisterOperation[] Canonical(RegisterOperation[] operations)
        {
            HashSet<long> seen = [.. operations.Where(o => o.Seen is not null).Select(o => o.Seen!.Value.Value)];
            return [.. operations.Select(o => seen.Contains(o.Value) ? o : o with { Value = -1 })];
        }

        /// <summary>
        /// The calls that may be next: those that began before the first open answer. Of unanswered ones that are alike, the earliest
        /// stands for all. Sorted by the hint, so that where the store is right the first path leads through.
        /// </summary>
        private int[] Candidates()
        {
            while (_firstOpen < _answered.Length && IsLinearized(_answered[_firstOpen]))
            {
                _firstOpen++;
            }

            long firstReturn = long.MaxValue;
            var candidates = new List<int>();
            for (int i = _firstOpen; i < _answered.Length && _operations[_answered[i]].Invoked < firstReturn; i++)
            {
                if (!IsLinearized(_answered[i]))
                {
                    candidates.Add(_answered[i]);
                    firstReturn = Math.Min(firstReturn, _operations[_answered[i]].Returned);
                }
            }

            candidates.RemoveAll(c => _operations[c].Invoked > firstReturn);
            var kinds = new HashSet<(RegisterAction Action, long Value, long ExpectedVersion)>();
            foreach (int call in _unanswered)
            {
                RegisterOperation operation = _operations[call];
                if (operation.Invoked > firstReturn)
                {
                    break;
                }

                if (!IsLinearized(call) && kinds.Add((operation.Action, operation.Value, operation.ExpectedVersion)))
                {
                    candidates.Add(call);
                }
            }

            return [.. candidates.OrderBy(c => _operations[c].Hint).ThenBy(c => _operations[c].IsUnknown)];
        }

        private RegisterState? TryTake(int operation, RegisterState state)
        {
            bool isUnknown = _operations[operation].IsUnknown;
            RegisterState? after = RegisterModel.Apply(state, _operations[operation]);
            if (after is null || (isUnknown && after == state))
            {
                return null;
            }

            Flip(operation);
            if (_visited.Add(new Configuration((ulong[])_linearized.Clone(), after.Value)))
            {
                _answersLeft -= isUnknown ? 0 : 1;
                return after;
            }

            Flip(operation);
            return null;
        }

        private bool IsLinearized(int operation) => (_linearized[operation / 64] & (1UL << (operation % 64))) != 0;

        private void Flip(int operation) => _linearized[operation / 64] ^= 1UL << (operation % 64);
    }

    private readonly struct Configuration(ulong[] linearized, RegisterState state) : IEquatable<Configuration>
    {
        private readonly ulong[] _linearized = linearized;
        private readonly RegisterState _state = state;

        public bool Equals(Configuration other) => _state == other._state && _linearized.AsSpan().SequenceEqual(other._linearized);

        public override bool Equals(object? obj) => obj is Configuration other && Equals(other);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.Add(_state);
            foreach (ulong word in _linearized)
            {
                hash.Add(word);
            }

            return hash.ToHashCode();
        }
    }
}
