using MetaStore.Testing.Linearizability;
using Verdict = MetaStore.Testing.Linearizability.LinearizabilityChecker.Verdict;

namespace MetaStore.Engine.Tests;

/// <summary>The checker is itself checked: by histories that no linearizable store can give, and by ones that look odd and are right.</summary>
public class LinearizabilityCheckerTests
{
    public static TheoryData<string, RegisterOperation[]> BadHistories => new()
    {
        { "a read misses a write that ended before it", [Put(1, 0, 1), Get(null, 2, 3)] },
        { "a read shows what was never written", [Put(1, 0, 1), Get((2, 1), 2, 3)] },
        { "a read goes back to an older value", [Put(1, 0, 1), Put(2, 2, 3), Get((1, 1), 4, 5)] },
        { "two reads see two writes in opposite orders", [Put(1, 0, 9), Put(2, 0, 9), Get((1, 1), 1, 2), Get((2, 2), 3, 4), Get((1, 2), 5, 6)] },
        { "a read sees the future", [Get((1, 1), 0, 1), Put(1, 2, 3)] },
        { "a write was applied twice", [Put(1, 0, 1), Get((1, 2), 2, 3)] },
        { "a deleted key is still there", [Put(1, 0, 1), Delete((1, 1), 2, 3), Get((1, 1), 4, 5)] },
        { "a delete removed what was not there", [Delete((1, 1), 0, 1)] },
        { "a delete found nothing where a write had ended", [Put(1, 0, 1), Delete(null, 2, 3)] },
        { "versions go on over a delete", [Put(1, 0, 1), Delete((1, 1), 2, 3), Put(2, 4, 5), Get((2, 2), 6, 7)] },
        { "a comparison stored on the wrong version", [Put(1, 0, 1), Cas(2, 0, true, 2, 3)] },
        { "a comparison failed on the right version", [Put(1, 0, 1), Cas(2, 1, false, 2, 3)] },
        { "two comparisons of one version both stored", [Put(1, 0, 1), Cas(2, 1, true, 2, 5), Cas(3, 1, true, 3, 6)] },
        { "a failed comparison stored all the same", [Put(1, 0, 1), Cas(2, 7, false, 2, 3), Get((2, 2), 4, 5)] },
        { "a put's previous value is stale", [Put(1, 0, 1), Put(2, 2, 3), Put(3, 4, 5, (1, 1))] },
        { "a lost write came back after it had been missing", [Unknown(1, 0), Put(2, 1, 2), Get((2, 1), 3, 4), Get((1, 2), 5, 6), Get((2, 1), 7, 8)] },
        { "an unanswered write counts twice", [Unknown(1, 0), Get((1, 2), 1, 2)] },
        { "an unanswered write took effect before it began", [Get((1, 1), 0, 1), Unknown(1, 2)] },
        { "a value vanished without a delete", [Put(1, 0, 1), Get((1, 1), 2, 3), Get(null, 4, 5)] },
        { "a lost update: both puts saw the same previous value", [Put(1, 0, 1), Put(2, 2, 5, (1, 1)), Put(3, 3, 6, (1, 1))] },
    };

    public static TheoryData<string, RegisterOperation[]> GoodHistories => new()
    {
        { "nothing", [] },
        { "concurrent writes may take either order", [Put(1, 0, 9), Put(2, 0, 9), Get((1, 2), 10, 11)] },
        { "a read beside a write may see either", [Put(1, 0, 1), Put(2, 2, 9), Get((1, 1), 3, 4), Get((2, 2), 5, 6)] },
        { "an unanswered write may take effect late", [Unknown(1, 0), Get(null, 1, 2), Get((1, 1), 3, 4)] },
        { "an unanswered write may never take effect", [Unknown(1, 0), Get(null, 1, 2), Put(2, 3, 4), Get((2, 1), 5, 6)] },
        { "an unanswered write may be seen by its version alone", [Unknown(1, 0), Put(2, 3, 4), Get((2, 2), 5, 6)] },
        { "an unanswered delete resets the version", [Put(1, 0, 1), UnknownDelete(2), Put(2, 3, 4), Get((2, 1), 5, 6)] },
    };

    [Theory]
    [MemberData(nameof(BadHistories))]
    public void Rejects(string why, RegisterOperation[] history)
    {
        Assert.True(LinearizabilityChecker.Check(history) == Verdict.Violation, why);
        Assert.True(LinearizabilityChecker.Check(Hinted(history), [2, 4, 6, 8, 10, 12]) == Verdict.Violation, $"{why} (with hints that claim it is right)");
    }

    [Theory]
    [MemberData(nameof(GoodHistories))]
    public void Accepts(string why, RegisterOperation[] history) =>
        Assert.True(LinearizabilityChecker.Check(history) == Verdict.Linearizable, why);

    [Fact]
    public void Says_so_when_it_gives_up()
    {
        RegisterOperation[] many = [.. Enumerable.Range(1, 30).Select(i => Put(i, 0, 99)), Get((1, 31), 100, 101)];
        Assert.Equal(Verdict.Undecided, LinearizabilityChecker.Check(many, stepsMax: 1000));
    }

    [Fact]
    public void Agrees_with_trying_every_order_of_small_histories()
    {
        var random = new Random(5);
        int violations = 0;
        for (int round = 0; round < 3000; round++)
        {
            RegisterOperation[] history = RandomHistory(random);
            bool expected = Permutations(history).Any(IsRight);
            violations += expected ? 0 : 1;
            Assert.Equal(expected ? Verdict.Linearizable : Verdict.Violation, LinearizabilityChecker.Check(history));
        }

        Assert.InRange(violations, 300, 2700);
    }

    private static RegisterOperation[] RandomHistory(Random random)
    {
        long time = 0;
        return [.. Enumerable.Range(1, random.Next(1, 6)).Select(i =>
        {
            long invoked = time + random.Next(3);
            time = invoked + 1;
            long returned = invoked + 1 + random.Next(6);
            RegisterState? seen = random.Next(3) == 0 ? RegisterState.Absent : new RegisterState(random.Next(1, 4), random.Next(1, 3));
            return random.Next(4) switch
            {
                0 => new RegisterOperation { Action = RegisterAction.Get, Invoked = 2 * invoked, Returned = (2 * returned) + 1, Seen = seen },
                1 => new RegisterOperation { Action = RegisterAction.Delete, Invoked = 2 * invoked, Returned = (2 * returned) + 1, Seen = seen },
                _ => new RegisterOperation { Action = RegisterAction.Put, Value = i, Invoked = 2 * invoked, Returned = (2 * returned) + 1 },
            };
        })];
    }

    private static IEnumerable<RegisterOperation[]> Permutations(RegisterOperation[] items) => items.Length <= 1
        ? [items]
        : items.SelectMany((first, i) => Permutations([.. items[..i], .. items[(i + 1)..]]).Select(rest => (RegisterOperation[])[first, .. rest]));

    private static bool IsRight(RegisterOperation[] order)
    {
        long value = 0;
        long version = 0;
        for (int i = 0; i < order.Length; i++)
        {
            RegisterOperation operation = order[i];
            bool realTime = order.Skip(i + 1).All(later => later.Returned >= operation.Invoked);
            if (!realTime || (operation.Seen is RegisterState seen && (seen.Value != value || seen.Version != version)))
            {
                return false;
            }

            (value, version) = operation.Action switch
            {
                RegisterAction.Put => (operation.Value, version + 1),
                RegisterAction.Delete => (0, 0),
                _ => (value, version),
            };
        }

        return true;
    }

    private static RegisterOperation[] Hinted(RegisterOperation[] history) =>
        [.. history.Select((o, i) => o.IsUnknown ? o : o with { Hint = 2 * (i + 1) })];

    private static RegisterState? State((long Value, long Version)? seen) =>
        seen is (long value, long version) ? new RegisterState(value, version) : RegisterState.Absent;

    private static RegisterOperation Put(long value, long invoked, long returned, (long Value, long Version)? previous = null) =>
        new() { Action = RegisterAction.Put, Value = value, Invoked = invoked, Returned = returned, Seen = previous is null ? null : State(previous) };

    private static RegisterOperation Get((long Value, long Version)? seen, long invoked, long returned) =>
        new() { Action = RegisterAction.Get, Invoked = invoked, Returned = returned, Seen = State(seen) };

    private static RegisterOperation Delete((long Value, long Version)? seen, long invoked, long returned) =>
        new() { Action = RegisterAction.Delete, Invoked = invoked, Returned = returned, Seen = State(seen) };

    private static RegisterOperation Cas(long value, long expected, bool succeeded, long invoked, long returned) =>
        new() { Action = RegisterAction.CompareAndPut, Value = value, ExpectedVersion = expected, Succeeded = succeeded, Invoked = invoked, Returned = returned };

    private static RegisterOperation Unknown(long value, long invoked) => new() { Action = RegisterAction.Put, Value = value, Invoked = invoked };

    private static RegisterOperation UnknownDelete(long invoked) => new() { Action = RegisterAction.Delete, Invoked = invoked };
}
