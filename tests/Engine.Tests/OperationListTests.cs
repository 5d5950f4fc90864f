using System.Text;
using FsCheck;
using FsCheck.Fluent;
using MetaStore.Engine.Snapshots;
using MetaStore.Testing;

namespace MetaStore.Engine.Tests;

/// <summary>
/// One operation list, four executions: the plain model, the engine, the engine that is killed and restarted (from log, and from
/// snapshot plus log) in between, and three nodes of which each answers in turn and any is killed. They must give one history.
/// </summary>
public class OperationListTests
{
    /// <summary>So few that they meet all the time.</summary>
    private static readonly KeySpace s_few = new(["a", "ab", "b", "ba", "c", "d/1", "d/2", "d/3"], ["b", "c", "d0", "\0", "e"], IsWide: true);

    /// <summary>So many that the index has leaves to split and to merge. Most ranges are short, for the plain model's sake.</summary>
    private static readonly KeySpace s_many = new([.. Enumerable.Range(0, 900).Select(i => $"k/{i:d3}")], ["k/", "k/450", "\0", "k/9"], IsWide: false);

    private enum Kind
    {
        Put,
        PutKeeping,
        Delete,
        Range,
        OldRange,
        Txn,
        Compact,
        Grant,
        Revoke,
        Restart,
    }

    /// <summary>Steps of the long lists. METASTORE_MODEL_OPERATIONS=1000000 makes long runs of them.</summary>
    private static int LongList => int.TryParse(Environment.GetEnvironmentVariable("METASTORE_MODEL_OPERATIONS"), out int operations) ? operations : 2500;

    private static readonly SnapshotOptions s_often = new() { EntriesMin = 20, SliceBytes = 100, EntriesKept = 5 };

    [Fact]
    public void The_model_the_engine_and_the_restarted_engine_give_one_history()
    {
        Gen<Step[]> lists = Gen.ArrayOf(Steps(), 60);
        Prop.ForAll(Arb.From(lists, Smaller), steps => Agree(steps, s_few, cluster: null)).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(11, false)]
    [InlineData(12, true)]
    [InlineData(13, false)]
    public void A_long_list_with_snapshots_and_restarts_gives_one_history(int seed, bool manyKeys)
    {
        var random = new Random(seed);
        using var cluster = new SteppedCluster(s_often);
        Agree([.. Enumerable.Range(0, LongList).Select(_ => new Step(random.Next(100), random.Next(), random.Next(), random.Next()))], manyKeys ? s_many : s_few, cluster);
    }

    /// <param name="steps">The list.</param>
    /// <param name="space">The keys that there are.</param>
    /// <param name="cluster">Three nodes that are to agree as well, of which one is killed at each restart; null for none.</param>
    private static void Agree(Step[] steps, KeySpace space, SteppedCluster? cluster)
    {
        var model = new StoreModel();
        using var node = new SteppedNode(s_often);
        using var restarted = new SteppedNode(s_often);
        for (int i = 0; i < steps.Length; i++)
        {
            if (steps[i].Kind == Kind.Restart)
            {
                restarted.Restart((CrashPolicy)(steps[i].A % 5));
                cluster?.Restart(steps[i].B % 3, (CrashPolicy)(steps[i].A % 5));
                continue;
            }

            StoreRequest request = ToRequest(steps[i], space, model, i);
            string expected = model.Run(request);
            AssertSame(expected, node, request, i);
            AssertSame(expected, restarted, request, i);
            if (cluster is not null)
            {
                // Whoever asks nobody may be behind.
                AssertSame(expected, cluster, request is RangeRequest range ? range with { Serializable = false } : request, i);
            }
        }

        cluster?.AwaitAgreement();
        foreach (SteppedNode store in (SteppedNode[])[node, restarted])
        {
            CompareAllRevisions(model, store);
            for (long lease = 1; lease <= 2; lease++)
            {
                LeaseTimeToLiveResponse attached = store.Wait(store.Core.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(lease, WithKeys: true)));
                Assert.Equal(model.KeysOf(lease), attached.Keys.Select(key => Encoding.Latin1.GetString(key.Span)));
            }

            Assert.Equal(0, store.Core.OperationsRented);
        }
    }

    private static void AssertSame(string expected, SteppedStore store, StoreRequest request, int step)
    {
        string actual = store.Run(request);
        Assert.True(expected == actual, $"step {step}, {request}\n model:  {expected}\n engine: {actual}");
    }

    private static void CompareAllRevisions(StoreModel model, SteppedNode node)
    {
        for (long revision = Math.Max(1, model.Compacted - 1); revision <= model.Revision; revision++)
        {
            var all = new RangeRequest { Key = "\0"u8.ToArray(), RangeEnd = "\0"u8.ToArray(), Revision = new Revision(revision) };
            Assert.Equal(model.Run(all), node.Run(all));
        }
    }

    private static Gen<Step> Steps() =>
        from kind in Gen.Choose(0, 99)
        from a in Gen.Choose(0, int.MaxValue - 1)
        from b in Gen.Choose(0, int.MaxValue - 1)
        from c in Gen.Choose(0, int.MaxValue - 1)
        select new Step(kind, a, b, c);

    private static IEnumerable<Step[]> Smaller(Step[] steps)
    {
        for (int length = steps.Length / 2; length > 0; length /= 2)
        {
            for (int from = 0; from + length <= steps.Length; from += length)
            {
                yield return [.. steps[..from], .. steps[(from + length)..]];
            }
        }
    }

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static StoreRequest ToRequest(Step step, KeySpace space, StoreModel model, int number)
    {
        byte[] key = space.Key(step.A);
        byte[] end = space.End(step.A, step.B);
        switch (step.Kind)
        {
            case Kind.Put:
                return new PutRequest { Key = key, Value = Bytes($"v{number}"), ReturnPrevious = step.B % 2 == 0, LeaseId = step.C % 3 };
            case Kind.PutKeeping:
                bool ignoresValue = step.B % 2 == 0;
                return new PutRequest { Key = key, Value = ignoresValue ? default : Bytes($"v{number}"), IgnoreValue = ignoresValue, IgnoreLease = step.C % 2 == 0 };
            case Kind.Delete:
                return new DeleteRangeRequest { Key = key, RangeEnd = end, ReturnPrevious = step.C % 2 == 0 };
            case Kind.Range:
                return Range(step, key, end, 0);
            case Kind.OldRange:
                return Range(step, key, end, 1 + (step.C % (model.Revision + 2)));
            case Kind.Grant:
                return new LeaseGrantRequest(LeaseGrantRequest.TtlMax, 1 + (step.A % 2));
            case Kind.Revoke:
                return new LeaseRevokeRequest(1 + (step.A % 2));
            case Kind.Compact:
                return new CompactRequest(new Revision(step.A % (model.Revision + 2)));
            default:
                return Txn(step, space, number, depth: 0);
        }
    }

    private static RangeRequest Range(Step step, byte[] key, byte[] end, long revision) => new()
    {
        Key = key,
        RangeEnd = end,
        Revision = new Revision(revision),
        Limit = step.C % 4,
        CountOnly = step.C % 7 == 0,
        KeysOnly = step.C % 5 == 0,
        SortTarget = (SortTarget)(step.A / 100 % 5),
        SortOrder = (SortOrder)(step.B / 100 % 3),
        MinModRevision = new Revision(step.C % 11 == 0 ? step.A % 20 : 0),
        MaxModRevision = new Revision(step.C % 13 == 0 ? step.B % 40 : 0),
        MinCreateRevision = new Revision(step.C % 17 == 0 ? step.A % 20 : 0),
        MaxCreateRevision = new Revision(step.C % 19 == 0 ? step.B % 40 : 0),
        Serializable = step.A % 2 == 0,
    };

    private static TxnRequest Txn(Step step, KeySpace space, int number, int depth)
    {
        byte[] key = space.Key(step.A);
        byte[] other = space.Key((step.A % space.Keys.Length) + 1 + (step.B % (space.Keys.Length - 1)));
        var compare = new Compare
        {
            Key = key,
            RangeEnd = step.B % 5 == 0 ? Bytes("c") : default,
            Target = (CompareTarget)(step.C % 5),
            Relation = (CompareRelation)(step.C / 5 % 4),
            Number = step.C % 4,
            Value = Bytes($"v{step.B % 60}"),
        };
        StoreRequest put = new PutRequest { Key = key, Value = Bytes($"t{number}"), ReturnPrevious = true };
        StoreRequest read = space.IsWide ? new RangeRequest { Key = Bytes("a"), RangeEnd = Bytes("\0") } : new RangeRequest { Key = key, RangeEnd = space.End(step.A, step.B) };
        StoreRequest delete = new DeleteRangeRequest { Key = other };
        var nested = new List<StoreRequest> { read, delete };
        if (depth == 0 && step.C % 3 == 0)
        {
            nested.Add(Txn(step with { A = (step.A % space.Keys.Length) + 3, C = step.C / 3 }, space, number, 1) with { Failure = [read] });
        }

        StoreRequest[] success = depth == 0 ? [read, put, delete, read] : [delete, read];
        return new TxnRequest { Compare = [compare], Success = success, Failure = nested };
    }

    /// <param name="Keys">All of them, in order.</param>
    /// <param name="Ends">Where ranges may end.</param>
    /// <param name="IsWide">Whether ranges end there as often as not; else seldom, and otherwise a few keys on.</param>
    private sealed record KeySpace(string[] Keys, string[] Ends, bool IsWide)
    {
        private const int FewKeys = 12;

        public byte[] Key(int draw) => Bytes(Keys[draw % Keys.Length]);

        /// <summary>The end of a range from that key on; in three of eight cases it is the key alone.</summary>
        public byte[] End(int key, int draw) => (draw % 8) switch
        {
            < 3 => [],
            _ when IsWide || draw / 8 % 50 == 0 => Bytes(Ends[draw / 8 % Ends.Length]),
            _ => Key((key % Keys.Length) + 1 + (draw / 8 % FewKeys)),
        };
    }

    private readonly record struct Step(int Draw, int A, int B, int C)
    {
        public Kind Kind => Draw switch
        {
            < 35 => Kind.Put,
            < 40 => Kind.PutKeeping,
            < 52 => Kind.Delete,
            < 65 => Kind.Range,
            < 75 => Kind.OldRange,
            < 85 => Kind.Txn,
            < 90 => Kind.Grant,
            < 92 => Kind.Revoke,
            < 96 => Kind.Compact,
            _ => Kind.Restart,
        };
    }
}
