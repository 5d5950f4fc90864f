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
    /// <param name="stepsMax">Configurations to visit before giving up.</param>
    public static Verdict Check(IReadOnlyList<RegisterOperation> operations, long stepsMax = 20_000_000) =>
        new Search(operations, stepsMax).Run();

    private sealed class Search
    {
        private readonly RegisterOperation[] _operations;
        private readonly long _stepsMax;
        private readonly Event _head = new(-1, isCall: false);
        private readonly HashSet<Configuration> _visited = [];
        private readonly Stack<(Event Call, RegisterState Before)> _chosen = new();
        private readonly ulong[] _linearized;
        private int _mustLinearize;

        public Search(IReadOnlyList<RegisterOperation> operations, long stepsMax)
        {
            // An unanswered read constrains nothing.
            _operations = [.. operations.Where(o => !(o.IsUnknown && o.Action == RegisterAction.Get))];
            _stepsMax = stepsMax;
            _linearized = new ulong[(_operations.Length + 63) / 64];
            BuildEvents();
        }

        public Verdict Run()
        {
            RegisterState state = RegisterState.Absent;
            Event? entry = _head.Next;
            long steps = 0;
            while (_mustLinearize > 0)
            {
                if (++steps > _stepsMax)
                {
                    return Verdict.Undecided;
                }

                if (entry is { IsCall: true })
                {
                    RegisterOperation operation = _operations[entry.Operation];
                    RegisterState? after = RegisterModel.Apply(state, operation);
                    if (after is RegisterState next && TryVisit(entry.Operation, next))
                    {
                        _chosen.Push((entry, state));
                        state = next;
                        _mustLinearize -= operation.IsUnknown ? 0 : 1;
                        entry.Lift();
                        entry = _head.Next;
                        continue;
                    }

                    entry = entry.Next;
                    continue;
                }

                // A return whose call is not linearized, or the end: the last choice was wrong.
                if (!_chosen.TryPop(out (Event Call, RegisterState Before) last))
                {
                    return Verdict.Violation;
                }

                state = last.Before;
                Flip(last.Call.Operation);
                _mustLinearize += _operations[last.Call.Operation].IsUnknown ? 0 : 1;
                last.Call.Restore();
                entry = last.Call.Next;
            }

            return Verdict.Linearizable;
        }

        private void BuildEvents()
        {
            var events = new List<(long Time, Event Event)>();
            for (int i = 0; i < _operations.Length; i++)
            {
                var call = new Event(i, isCall: true);
                events.Add((_operations[i].Invoked, call));
                if (!_operations[i].IsUnknown)
                {
                    var answer = new Event(i, isCall: false);
                    call.Match = answer;
                    events.Add((_operations[i].Returned, answer));
                    _mustLinearize++;
                }
            }

            events.Sort((a, b) => a.Time.CompareTo(b.Time));
            Event last = _head;
            foreach ((_, Event next) in events)
            {
                last.Next = next;
                next.Previous = last;
                last = next;
            }
        }

        private bool TryVisit(int operation, RegisterState after)
        {
            Flip(operation);
            if (_visited.Add(new Configuration((ulong[])_linearized.Clone(), after)))
            {
                return true;
            }

            Flip(operation);
            return false;
        }

        private void Flip(int operation) => _linearized[operation / 64] ^= 1UL << (operation % 64);
    }

    /// <summary>A call or a return in the doubly linked history.</summary>
    private sealed class Event(int operation, bool isCall)
    {
        public int Operation { get; } = operation;

        public bool IsCall { get; } = isCall;

        public Event? Match { get; set; }

        public Event? Next { get; set; }

        public Event? Previous { get; set; }

        /// <summary>Takes a call, and its return, out of the history.</summary>
        public void Lift()
        {
            Unlink();
            Match?.Unlink();
        }

        /// <summary>Puts them back, in the reverse order.</summary>
        public void Restore()
        {
            Match?.Relink();
            Relink();
        }

        private void Unlink()
        {
            Previous!.Next = Next;
            if (Next is not null)
            {
                Next.Previous = Previous;
            }
        }

        private void Relink()
        {
            Previous!.Next = this;
            if (Next is not null)
            {
                Next.Previous = this;
            }
        }
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
