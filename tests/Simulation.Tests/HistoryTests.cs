using System.Buffers.Binary;
using MetaStore.Engine;

namespace MetaStore.Simulation.Tests;

/// <summary>
/// What a history is refused for, and what it must not be refused for. The reads here are those that the search does not look at (local ones, of old
/// revisions, of whole ranges): the check by revisions is all they have.
/// </summary>
public class HistoryTests
{
    private const long Second = 1_000_000_000;

    public static TheoryData<string> Reads => [.. ReadRequests.Keys];

    private static readonly Dictionary<string, RangeRequest> ReadRequests = new(StringComparer.Ordinal)
    {
        ["linearizable"] = new RangeRequest { Key = Key(1) },
        ["serializable"] = new RangeRequest { Key = Key(1), Serializable = true },
        ["at a revision"] = new RangeRequest { Key = Key(1), Revision = new Revision(2) },
        ["of a bounded age"] = new RangeRequest { Key = Key(1), StalenessMax = TimeSpan.FromSeconds(9) },
        ["of all keys"] = new RangeRequest { Key = Key(1), RangeEnd = Key(3), Serializable = true },
    };

    [Theory]
    [MemberData(nameof(Reads))]
    public void AReadThatMissesAnAcknowledgedPut_IsFound(string read)
    {
        var history = new Events();
        history.Put(1, 7, revision: 2);
        history.Read(ReadRequests[read], revision: 2);
        Assert.Throws<SimulationFailure>(() => history.Check());
    }

    [Theory]
    [MemberData(nameof(Reads))]
    public void AReadThatShowsIt_IsRight(string read)
    {
        var history = new Events();
        history.Put(1, 7, revision: 2);
        history.Read(ReadRequests[read], revision: 2, Item(1, 7, 2));
        history.Check();
    }

    [Theory]
    [MemberData(nameof(Reads))]
    public void ADeletionThatNobodyWasToldOf_MayHaveTakenItAway(string read)
    {
        var history = new Events();
        history.Put(1, 7, revision: 2);
        history.Delete(1, revision: null);
        history.Read(ReadRequests[read] with { Revision = default }, revision: 3);
        history.Check();
    }

    [Fact]
    public void ADeletionThatWasAskedForLater_HasNotTakenItAway()
    {
        var history = new Events();
        history.Put(1, 7, revision: 2);
        history.Put(2, 8, revision: 3);
        history.Delete(1, revision: null);
        history.Read(ReadRequests["serializable"], revision: 3);
        Assert.Throws<SimulationFailure>(() => history.Check());
    }

    [Fact]
    public void OneDeletion_TakesAwayOnePut()
    {
        var history = new Events();
        history.Put(1, 7, revision: 2);
        history.Delete(1, revision: null);
        history.Read(ReadRequests["serializable"], revision: 3);
        history.Put(1, 8, revision: 4);
        history.Read(ReadRequests["serializable"], revision: 5);
        Assert.Throws<SimulationFailure>(() => history.Check());
    }

    [Fact]
    public void AnAcknowledgedDeletion_ExplainsItself()
    {
        var history = new Events();
        history.Put(1, 7, revision: 2);
        history.Delete(1, revision: 3, Item(1, 7, 2));
        history.Read(ReadRequests["serializable"], revision: 3);
        history.Read(ReadRequests["at a revision"], revision: 3, Item(1, 7, 2));
        history.Check();
    }

    private static byte[] Key(long number) => RegisterProjection.KeyOf(number);

    private static KeyValue Item(long key, long value, long revision) =>
        new(Key(key), Value(value), new Revision(revision), new Revision(revision), 1, 0);

    private static byte[] Value(long number)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return bytes;
    }

    /// <summary>One operation after the other.</summary>
    private sealed class Events
    {
        private readonly History _history = new();
        private long _now;

        public void Put(long key, long value, long revision) => Add(
            new PutRequest { Key = Key(key), Value = Value(value) }, new PutResponse { Header = Header(revision) });

        public void Delete(long key, long? revision, params KeyValue[] previous) => Add(
            new DeleteRangeRequest { Key = Key(key), ReturnPrevious = true },
            revision is { } at ? new DeleteRangeResponse { Header = Header(at), Deleted = 1, Previous = previous } : null);

        public void Read(RangeRequest request, long revision, params KeyValue[] items) => Add(
            request, new RangeResponse { Header = Header(revision), Items = items, Count = items.Length, Staleness = TimeSpan.FromSeconds(request.StalenessMax > TimeSpan.Zero ? 1 : 0) });

        public void Check() => _history.Check(clockError: 0);

        private static ResponseHeader Header(long revision) => new(1, 1, new Revision(revision), 1);

        private void Add(StoreRequest request, StoreResponse? response)
        {
            _now++;
            _history.Add(new HistoryEntry
            {
                Request = request,
                Response = response,
                Invoked = 2 * _now,
                InvokedAt = _now * Second,
                Returned = response is null ? long.MaxValue : (2 * _now) + 1,
                ReturnedAt = response is null ? long.MaxValue : (_now * Second) + 1,
            });
        }
    }
}
