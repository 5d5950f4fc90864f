using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Services;
using static MetaStore.Etcd.Messages.WatchCreateRequest.Types.FilterType;

namespace MetaStore.Etcd.Tests.Differential;

/// <summary>
/// Requests of all kinds, drawn from a seed: few keys, so that they meet, and some of everything that is wrong. Fewer than thirteen keys: beyond that etcd's order of items that
/// are equal by what they are sorted by is not told by anything.
/// </summary>
internal sealed class RandomRequests(int seed)
{
    private const int DepthMax = 2;

    private static readonly string[] s_keys = ["a", "ab", "b", "ba", "c", "d", "e", "f/1", "f/2"];
    private static readonly string[] s_ends = ["", "", "", "b", "c", "f0", "z", "\0", "a"];
    private static readonly long[] s_leases = [1, 2, 3, 0x7fff_ffff_ffff_ffff];

    private readonly Random _random = new(seed);
    private readonly Queue<(string Path, IMessage Request)> _following = new();

    /// <summary>About where the revision of the store is; old and future revisions are drawn around it.</summary>
    public long Revision { get; set; } = 1;

    /// <summary>The revision of the last compaction.</summary>
    public long Compacted { get; set; }

    /// <summary>The watches that are there.</summary>
    public IEnumerable<long> Watches { get; set; } = [];

    /// <summary>Ids that no watch is to be given.</summary>
    public IReadOnlySet<long> WatchesAvoided { get; set; } = new HashSet<long>();

    public (string Path, IMessage Request) Next() => _following.TryDequeue(out (string Path, IMessage Request) next) ? next : Draw();

    private (string Path, IMessage Request) Draw() => _random.Next(100) switch
    {
        < 30 => (Say.Put, Put()),
        < 58 => (Say.Range, Range()),
        < 66 => (Say.Delete, Delete()),
        < 86 => (Say.Txn, Txn(1)),
        < 88 => (Say.Compact, new CompactionRequest { Revision = Revision - _random.Next(-2, 20), Physical = Chance(2) }),
        < 91 => (Say.Watch, Watch()),
        < 93 => (Say.Grant, new LeaseGrantRequest { ID = Lease(), TTL = Chance(8) ? 9_000_000_001 : _random.Next(1000, 2000) }),
        < 95 => (Say.Revoke, new LeaseRevokeRequest { ID = Lease() }),
        < 97 => (Say.KeepAlive, new LeaseKeepAliveRequest { ID = Lease() }),
        < 99 => ("/etcdserverpb.Lease/LeaseTimeToLive", new LeaseTimeToLiveRequest { ID = Lease(), Keys = Chance(2) }),
        _ => ("/etcdserverpb.Lease/LeaseLeases", new LeaseLeasesRequest()),
    };

    private bool Chance(int of) => _random.Next(of) == 0;

    private T Any<T>(T[] items) => items[_random.Next(items.Length)];

    private long Lease() => Any(s_leases);

    private ByteString Key() => Chance(60) ? ByteString.Empty : Say.Bytes(Any(s_keys));

    private ByteString End() => Say.Bytes(Any(s_ends));

    private ByteString Value() => Say.Bytes(Any(["", "1", "2", "22", "3"]));

    private long SomeRevision(int of) => Chance(of) ? Math.Max(0, Revision - _random.Next(-1, 30)) : 0;

    private PutRequest Put() => new()
    {
        Key = Key(),
        Value = Value(),
        Lease = Chance(4) ? Lease() : 0,
        PrevKv = Chance(3),
        IgnoreValue = Chance(8),
        IgnoreLease = Chance(8),
    };

    /// <summary>
    /// A watch of what is compacted or to come, of one key or several, or the end of one. About twenty are there at a time. None begins at the revision of the last compaction
    /// itself, of which what etcd tells depends on what it has collected meanwhile.
    /// </summary>
    private WatchRequest Watch()
    {
        long[] there = [.. Watches];
        if (Chance(there.Length < 20 ? 4 : 1))
        {
            return new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = there.Length > 0 && !Chance(5) ? Any(there) : 999 } };
        }

        var create = new WatchCreateRequest
        {
            Key = Key(),
            RangeEnd = End(),
            StartRevision = Chance(2) ? Math.Max(0, Revision - _random.Next(-3, 30)) : 0,
            PrevKv = Chance(2),
            Fragment = Chance(4),
            WatchId = Chance(6) ? Any(there.Length == 0 ? [7L] : there) : Chance(6) ? _random.Next(1, 60) : 0,
        };
        create.StartRevision += create.StartRevision == Compacted ? 1 : 0;
        create.WatchId = create.StartRevision > Compacted || create.StartRevision == 0 ? create.WatchId : 0;
        create.WatchId = WatchesAvoided.Contains(create.WatchId) ? 0 : create.WatchId;
        create.Filters.Add(Any<WatchCreateRequest.Types.FilterType[]>([[], [], [], [Noput], [Nodelete]]));
        if (create.StartRevision > 0)
        {
            // etcd looks after such watches each 100 ms. Nothing is compacted until it has done so for this one, which is when it tells of one of these.
            ByteString key = create.Key.IsEmpty ? ByteString.CopyFrom(0) : create.Key;
            _following.Enqueue((Say.Put, new PutRequest { Key = key }));
            _following.Enqueue((Say.Delete, new DeleteRangeRequest { Key = key }));
        }

        return new WatchRequest { CreateRequest = create };
    }

    private DeleteRangeRequest Delete() => new() { Key = Key(), RangeEnd = End(), PrevKv = Chance(2) };

    /// <summary>etcd overlooks that a delete of all keys from one on meets a put of the same transaction; this store refuses the two. So there are none.</summary>
    private DeleteRangeRequest DeleteInTxn()
    {
        DeleteRangeRequest delete = Delete();
        if (delete.RangeEnd.Span is [0])
        {
            delete.RangeEnd = Say.Bytes("zz");
        }

        return delete;
    }

    /// <summary>
    /// Where no order is named etcd cuts at the limit before it sorts, so that what it gives is neither the first by the target nor all; this store sorts first, as it does where an
    /// order is named. So there are none with a limit.
    /// </summary>
    private RangeRequest Range()
    {
        RangeRequest range = AnyRange();
        range.Limit = range is { SortOrder: RangeRequest.Types.SortOrder.None, SortTarget: not RangeRequest.Types.SortTarget.Key } ? 0 : range.Limit;
        return range;
    }

    private RangeRequest AnyRange() => new()
    {
        Key = Key(),
        RangeEnd = End(),
        Limit = Chance(2) ? _random.Next(-1, 5) : Chance(6) ? long.MaxValue : 0,
        Revision = SomeRevision(4),
        SortOrder = (RangeRequest.Types.SortOrder)(Chance(2) ? _random.Next(3) : 0),
        SortTarget = (RangeRequest.Types.SortTarget)(Chance(2) ? _random.Next(5) : 0),
        Serializable = Chance(4),
        KeysOnly = Chance(5),
        CountOnly = Chance(6),
        MinModRevision = SomeRevision(8),
        MaxModRevision = SomeRevision(8),
        MinCreateRevision = SomeRevision(8),
        MaxCreateRevision = SomeRevision(8),
    };

    private TxnRequest Txn(int depth)
    {
        var txn = new TxnRequest();
        for (int i = _random.Next(3); i > 0; i--)
        {
            txn.Compare.Add(Compare());
        }

        for (int i = _random.Next(4); i > 0; i--)
        {
            txn.Success.Add(Operation(depth));
        }

        for (int i = _random.Next(4); i > 0; i--)
        {
            txn.Failure.Add(Operation(depth));
        }

        return txn;
    }

    private RequestOp Operation(int depth) => _random.Next(40) switch
    {
        0 => new RequestOp(),
        < 14 => Say.Op(Put()),
        < 20 => Say.Op(DeleteInTxn()),
        < 34 => Say.Op(Range()),
        _ when depth < DepthMax => Say.Op(Txn(depth + 1)),
        _ => Say.Op(Range()),
    };

    private Compare Compare()
    {
        var compare = new Compare
        {
            Key = Key(),
            RangeEnd = Chance(3) ? End() : ByteString.Empty,
            Target = (Compare.Types.CompareTarget)_random.Next(5),
            Result = (Compare.Types.CompareResult)_random.Next(4),
        };
        int union = Chance(6) ? _random.Next(6) : (int)compare.Target;
        switch (union)
        {
            case 0:
                compare.Version = _random.Next(3);
                break;
            case 1:
                compare.CreateRevision = SomeRevision(2);
                break;
            case 2:
                compare.ModRevision = SomeRevision(2);
                break;
            case 3:
                compare.Value = Value();
                break;
            case 4:
                compare.Lease = Chance(2) ? Lease() : 0;
                break;
        }

        return compare;
    }
}
