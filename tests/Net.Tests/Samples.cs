using System.Text;
using MetaStore.Engine;

namespace MetaStore.Net.Tests;

/// <summary>Random requests and answers of every shape, from a seed.</summary>
internal sealed class Samples(int seed)
{
    private readonly Random _random = new(seed);

    public StoreRequest Request(int depth = 1) => _random.Next(depth < 4 ? 4 : 3) switch
    {
        0 => new PutRequest
        {
            Key = Bytes(),
            Value = Bytes(),
            LeaseId = Number(),
            ReturnPrevious = Coin(),
            IgnoreValue = Coin(),
            IgnoreLease = Coin(),
            TimeToLive = Coin() ? TimeSpan.FromMilliseconds(_random.Next(1, 1_000_000_000)) : TimeSpan.Zero,
        },
        1 => new RangeRequest
        {
            Key = Bytes(),
            RangeEnd = Bytes(),
            Limit = Number(),
            Revision = Rev(),
            Serializable = Coin(),
            StalenessMax = Coin() ? TimeSpan.FromMilliseconds(_random.Next(86_400_000)) : TimeSpan.Zero,
            CountOnly = Coin(),
            KeysOnly = Coin(),
            SortTarget = (SortTarget)_random.Next(5),
            SortOrder = (SortOrder)_random.Next(3),
            MinModRevision = Coin() ? Rev() : default,
            MaxModRevision = Coin() ? Rev() : default,
            MinCreateRevision = Coin() ? Rev() : default,
            MaxCreateRevision = Coin() ? Rev() : default,
        },
        2 => new DeleteRangeRequest { Key = Bytes(), RangeEnd = Bytes(), ReturnPrevious = Coin() },
        _ => new TxnRequest
        {
            Compare = Many(() => new Compare
            {
                Key = Bytes(),
                RangeEnd = Bytes(),
                Target = (CompareTarget)_random.Next(5),
                Relation = (CompareRelation)_random.Next(4),
                Number = Number(),
                Value = Bytes(),
            }),
            Success = Many(() => Request(depth + 1)),
            Failure = Many(() => Request(depth + 1)),
        },
    };

    public SessionRequest SessionRequest() => new()
    {
        SessionId = (ulong)Number(),
        Sequence = (ulong)Number(),
        AcknowledgedBelow = (ulong)Number(),
        Request = Request() is var request and not RangeRequest ? request : Coin() ? new CompactRequest(Rev()) : Coin() ? new LeaseGrantRequest(Number(), Number()) : new LeaseRevokeRequest(Number()),
    };

    public StoreResponse LeaseResponse() => _random.Next(5) switch
    {
        0 => new LeaseGrantResponse { Header = Header(), Id = Number(), Ttl = Number() },
        1 => new LeaseRevokeResponse { Header = Header() },
        2 => new LeaseKeepAliveResponse { Header = Header(), Id = Number(), Ttl = Number() },
        3 => new LeaseTimeToLiveResponse { Header = Header(), Id = Number(), Ttl = Number(), GrantedTtl = Number(), Keys = Many<ReadOnlyMemory<byte>>(() => Bytes()) },
        _ => new LeasesResponse { Header = Header(), Ids = Many(Number) },
    };

    public StoreResponse Response() => _random.Next(11) switch
    {
        10 => LeaseResponse(),
        8 => new SessionResponse { Header = Header(), IsRepeated = Coin(), Answer = Coin() ? new CompactResponse { Header = Header() } : Nested(1) with { Header = Header() } },
        9 => Coin() ? new OpenSessionResponse { Header = Header(), SessionId = (ulong)Number() } : new CloseSessionResponse { Header = Header() },
        7 => new MembersResponse { Header = Header(), MemberId = (ulong)Number(), Members = Many(Member) },
        0 => new CompactResponse { Header = Header() },
        1 => new HashResponse { Header = Header(), Hash = (uint)_random.Next(), HashRevision = Rev(), CompactRevision = Rev() },
        2 => new StatusResponse
        {
            Header = Header(),
            Version = Text(),
            Name = Text(),
            LeaderId = (ulong)Number(),
            LastIndex = (ulong)Number(),
            CommitIndex = (ulong)Number(),
            AppliedIndex = (ulong)Number(),
            SnapshotIndex = (ulong)Number(),
            CompactRevision = Rev(),
            KeyCount = Number(),
            DiskBytes = Number(),
            StoreBytes = Number(),
            StoreBytesInUse = Number(),
            IsLearner = _random.Next(2) == 0,
            IsWitness = _random.Next(2) == 0,
            Members = Many(Member),
        },
        _ => Nested(1) with { Header = Header() },
    };

    private Member Member() =>
        new(
            (ulong)Number(), Text(), Many(Text), Many(Text), _random.Next(2) == 0, _random.Next(2) == 0, (ulong)Number(), (byte)_random.Next(256), _random.Next(2) == 0);

    /// <summary>Everything of a request or answer, bytes included, as text: records compare memory by reference.</summary>
    public static string Show(object? value) => value switch
    {
        null => "null",
        ReadOnlyMemory<byte> bytes => Convert.ToHexString(bytes.Span),
        string or ValueType and not (KeyValue or ResponseHeader) => value.ToString()!,
        System.Collections.IEnumerable many => $"[{string.Join(", ", many.Cast<object>().Select(Show))}]",
        _ => value.GetType().Name + "{" + string.Join(", ", value.GetType().GetProperties()
            .Where(property => property.GetIndexParameters().Length == 0)
            .Select(property => $"{property.Name}={Show(property.GetValue(value))}")) + "}",
    };

    public byte[] Noise(int length)
    {
        var bytes = new byte[length];
        _random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Changes, cuts or lengthens at random places.</summary>
    public byte[] Mutate(byte[] bytes)
    {
        var mutated = (byte[])bytes.Clone();
        for (int i = _random.Next(1, 4); i > 0 && mutated.Length > 0; i--)
        {
            int at = _random.Next(mutated.Length);
            switch (_random.Next(4))
            {
                case 0:
                    mutated[at] = (byte)_random.Next(256);
                    break;
                case 1:
                    mutated[at] = 0xff; // lengths and counts beyond all measure
                    break;
                case 2:
                    mutated = mutated[..at];
                    break;
                default:
                    mutated = [.. mutated, .. Noise(_random.Next(1, 9))];
                    break;
            }
        }

        return mutated;
    }

    private StoreResponse Nested(int depth)
    {
        var header = new ResponseHeader(0, 0, Rev(), 0);
        return _random.Next(depth < 4 ? 4 : 3) switch
        {
            0 => new PutResponse { Header = header, Previous = Coin() ? Item() : null },
            1 => new RangeResponse { Header = header, Items = Many(Item), More = Coin(), Count = Number(), Staleness = Coin() ? TimeSpan.FromMicroseconds(_random.Next(3)) : null },
            2 => new DeleteRangeResponse { Header = header, Deleted = Number(), Previous = Many(Item) },
            _ => new TxnResponse { Header = header, Succeeded = Coin(), Responses = Many(() => Nested(depth + 1)) },
        };
    }

    private KeyValue Item() => new(Bytes(), Bytes(), Rev(), Rev(), Number(), Number());

    private ResponseHeader Header() => new((ulong)Number(), (ulong)Number(), Rev(), (ulong)Number());

    private T[] Many<T>(Func<T> make) => [.. Enumerable.Range(0, _random.Next(4)).Select(_ => make())];

    private bool Coin() => _random.Next(2) == 0;

    private long Number() => _random.Next(4) == 0 ? 0 : _random.NextInt64(long.MinValue, long.MaxValue);

    private Revision Rev() => new(Number());

    private byte[] Bytes() => Noise(_random.Next(20));

    private string Text() => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(new string('ä', _random.Next(10)) + _random.Next()));
}
