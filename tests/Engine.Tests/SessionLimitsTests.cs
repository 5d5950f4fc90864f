using System.Collections.Immutable;
using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Sessions;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>What sessions keep is bounded in bytes, by rules that all members follow alike, and a snapshot holds it in slices.</summary>
public sealed class SessionLimitsTests
{
    /// <summary>256 for the session, 128 for the write.</summary>
    private const int Overhead = 256 + 128;

    [Fact]
    public void AnAnswerThatExceedsWhatItsSessionMayKeep_IsNotKept_AndItsRequestIsStillAppliedOnce()
    {
        var member = new Replica();
        member.Apply(Put("k", 1000));
        member.Apply(Put("l", 1000));
        int length = member.AnswerLength("k");
        ulong session = member.Open(new SessionLimits(10, (uint)(2 * length) - 1, 1 << 20));
        SessionRequest first = Request(session, 1, Put("k", 0));
        SessionRequest second = Request(session, 2, Put("l", 0));
        Assert.False(member.Apply(first).IsFailed);
        Assert.False(member.Apply(second).IsFailed);
        Assert.Equal((ulong)(length + Overhead + 128), member.Sessions.Bytes);
        Assert.True(((SessionResponse)member.Apply(first).Response!).IsRepeated);
        Assert.Equal(MetaStoreError.AnswerNotKept, member.Apply(second).Error);
        Assert.Equal(5, member.Store.Revision);

        // What is acknowledged makes room, and what just fits is kept.
        member.Apply(Put("k", 1000));
        SessionRequest third = Request(session, 3, Put("k", 0), acknowledgedBelow: 3);
        Assert.False(member.Apply(third).IsFailed);
        Assert.True(((SessionResponse)member.Apply(third).Response!).IsRepeated);
        Assert.Equal((ulong)(length + Overhead), member.Sessions.Bytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void BeyondTheTotal_TheSessionNotUsedForLongestGoes(int missing)
    {
        var member = new Replica();
        member.Apply(Put("k", 1000));
        int length = member.AnswerLength("k");
        var limits = new SessionLimits(10, 1 << 20, (ulong)((2 * length) + (2 * Overhead) + 256 - missing));
        ulong first = member.Open(limits);
        ulong second = member.Open(limits);
        ulong third = member.Open(limits);
        member.Apply(Put("l", 1)); // What comes now is of a later entry.
        member.Apply(Request(second, 1, new PutRequest { Key = Bytes("k"), Value = new byte[1000], ReturnPrevious = true }));
        member.Apply(Request(first, 1, Put("k", 0)));
        Assert.Equal(missing == 0 ? [first, second, third] : new[] { first, second }, member.Sessions.All.Select(session => session.Id));
        Assert.InRange(member.Sessions.Bytes, 1ul, limits.TotalBytesMax);
        Assert.Equal(missing == 0 ? default : MetaStoreError.SessionNotFound, member.Apply(Request(third, 1, Put("l", 0))).Error);
    }

    /// <summary>A request of some hundred bytes leaves an answer of the size of what it reads. So did it in the tens of thousands.</summary>
    [Fact]
    public void SmallRequestsWithLargeAnswers_LeaveNoMoreThanTheLimits()
    {
        var limits = new SessionLimits(1000, 1 << 20, 8 << 20);
        var member = new Replica();
        member.Apply(Put("big", SessionRequest.KeptAnswerBytesMax - 200));
        var read = new TxnRequest { Success = [new RangeRequest { Key = Bytes("big") }, new PutRequest { Key = Bytes("k") }] };
        for (int i = 0; i < 12; i++)
        {
            ulong session = member.Open(limits);
            for (ulong sequence = 1; sequence <= SessionRequest.UnacknowledgedMax; sequence++)
            {
                Assert.False(member.Apply(Request(session, sequence, read)).IsFailed);
            }

            Assert.InRange(member.Sessions.Bytes, 1ul, limits.TotalBytesMax);
        }

        Assert.InRange(member.Sessions.Count, 6, 8);
        Assert.Equal(3 + (12 * SessionRequest.UnacknowledgedMax) - 1, member.Store.Revision);
    }

    [Fact]
    public void ASnapshotHoldsSessionsInSlices()
    {
        const int Slice = 10_000;
        const int Answer = 3000;
        var limits = new SessionLimits(100, 1 << 20, 100 << 20);
        Session[] sessions = [.. Enumerable.Range(1, 5).Select(id => Filled((ulong)id, limits.SessionKeptBytesMax, answers: 300, Answer))];
        var sizes = new List<int>();
        byte[] payload = Snapshot(Holding(SessionTable.Restore(sessions, 5, limits)), Slice, sizes);
        Assert.InRange(payload.Length, 5 * 300 * Answer, 5 * 300 * (Answer + 100));
        Assert.InRange(sizes.Max(), Slice, Slice + Answer + 100);
        AssertSame(sessions, Read(payload).View.Sessions);
    }

    [Fact]
    public void SessionsInASnapshot_HaveTheseBytes()
    {
        Session session = Filled(6, keptBytesMax: 9, answers: 2, bytes: 1, floor: 4, first: 5);
        byte[] payload = Snapshot(Holding(SessionTable.Restore([session], 7, new SessionLimits(2, 3, 1000))), 1);
        string expected = "FFFFFFFF" + "0000000000000000"
            + "0700000000000000" + "02000000" + "03000000" + "E803000000000000" + "01000000"
            + "0600000000000000" + "0800000000000000" + "0400000000000000" + "09000000" + "02000000"
            + "0500000000000000" + "0000" + "01000000" + "00"
            + "0600000000000000" + "0000" + "01000000" + "01"
            + "0000000000000000" + "00000000"; // No leases.
        Assert.Equal("04000000", Convert.ToHexString(payload)[..8]);
        Assert.EndsWith(expected, Convert.ToHexString(payload), StringComparison.Ordinal);
    }

    [Fact]
    public void ASnapshotThatHoldsMoreThanItsLimits_IsRefused()
    {
        var limits = new SessionLimits(2, 1000, 10_000);
        Session session = Filled(1, 1000, answers: 2, bytes: 500);
        Assert.Equal(1, Read(Snapshot(Holding(SessionTable.Restore([session], 1, limits)), 1)).View.Sessions.Count);
        Refused("2 sessions where 1 are kept", SessionTable.Restore([session, Filled(2, 1000, 1, 1)], 2, limits with { SessionsMax = 1 }));
        Refused("bytes of sessions where 1600 are kept", SessionTable.Restore([session, Filled(2, 1000, 1, 1)], 2, limits with { TotalBytesMax = 1600 }));
        Refused("room for 499 bytes of answers, and one of 500", SessionTable.Restore([Filled(1, 999, 2, 500)], 1, limits));
        Refused("has 1025 answers", SessionTable.Restore([Filled(1, 9999, 1025, 1)], 1, limits));
        Refused("request 9 after 0 is out of order or of the window", SessionTable.Restore([Filled(1, 1000, 1, 1, floor: 10, first: 9)], 1, limits));
        Refused("request 1034 after 0 is out of order or of the window", SessionTable.Restore([Filled(1, 1000, 1, 1, floor: 10, first: 1034)], 1, limits));
        Refused("was used at index 9, behind 8", SessionTable.Restore([Filled(1, 1000, 1, 1, lastUsed: 9)], 1, limits));
    }

    /// <summary>
    /// Random requests of random sessions, on a member that goes on and on another that comes back from snapshots, beside a model that is as plain as can be.
    /// </summary>
    [Fact]
    public void MembersAndTheModelAgree_WhateverIsAsked()
    {
        int evicted = 0;
        int notKept = 0;
        for (int seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            var model = new Model();
            var member = new Replica();
            var other = new Replica();
            for (int step = 0; step < 400; step++)
            {
                StoreRequest request = Draw(random, member);
                ApplyResult result = member.Apply(request);
                Assert.Equal(result.Error, other.Apply(request).Error);
                model.Apply(request, result, member.Index);
                AssertSame(model, member.Sessions, $"seed {seed}, step {step}");
                notKept += result.Error == MetaStoreError.AnswerNotKept ? 1 : 0;
                if (random.Next(40) == 0)
                {
                    other = new Replica(Read(Snapshot(other.Published(), 1 + random.Next(5000))));
                }

                Assert.Equal(member.Store.CurrentDigest, other.Store.CurrentDigest);
            }

            evicted += model.Evicted;
        }

        Assert.True(evicted > 500, $"{evicted} sessions were forgotten");
        Assert.True(notKept > 50, $"{notKept} repeats found no answer");
    }

    private static void AssertSame(Model model, SessionTable table, string where)
    {
        Assert.True(model.Sessions.Keys.SequenceEqual(table.All.Select(session => session.Id)), where);
        Assert.True(model.Bytes == table.Bytes, $"{where}: {model.Bytes} bytes by the model, {table.Bytes} by the table");
        Assert.True(table.Count <= Math.Max(1, table.Limits.SessionsMax) && (table.Count <= 1 || table.Bytes <= table.Limits.TotalBytesMax), where);
        foreach (Session session in table.All)
        {
            Model.Known known = model.Sessions[session.Id];
            Assert.True(known.Answers.Select(answer => (answer.Key, answer.Value)).SequenceEqual(session.Answers.Select(answer => (answer.Key, answer.Value.Length))), where);
            Assert.True((known.Floor, known.LastUsed) == (session.Floor, session.LastUsed), where);
            Assert.True(session.KeptBytes <= session.KeptBytesMax, where);
        }
    }

    private static StoreRequest Draw(Random random, Replica member)
    {
        ulong lastId = member.Sessions.LastId;
        int kind = random.Next(100);
        if (lastId == 0 || kind < 5)
        {
            var sessionBytes = (uint)random.Next(6000);
            return new OpenSessionRequest(new SessionLimits((uint)random.Next(1, 8), sessionBytes, (ulong)(sessionBytes + random.Next(20_000))));
        }

        ulong id = lastId - (ulong)random.Next((int)Math.Min(lastId, 6));
        if (kind < 7)
        {
            return new CloseSessionRequest(id);
        }

        Session? session = member.Sessions.Find(id);
        ulong floor = Math.Max(session?.Floor ?? 0, 1);
        ulong sequence = kind < 10 ? floor + SessionRequest.UnacknowledgedMax - 2 + (ulong)random.Next(4) : Math.Max(1, floor + (ulong)random.Next(12) - 1);
        ulong acknowledged = random.Next(3) == 0 ? Math.Min(sequence, floor + (ulong)random.Next(4)) : 0;
        StoreRequest request = random.Next(10) == 0
            ? new PutRequest { Key = Bytes("missing"), IgnoreValue = true }
            : Put("k", random.Next(4) == 0 ? random.Next(3000) : random.Next(50));
        return Request(id, sequence, request, acknowledged);
    }

    private static void Refused(string cause, SessionTable table)
    {
        SnapshotFormatException refusal = Assert.Throws<SnapshotFormatException>(() => Read(Snapshot(Holding(table), 1000)));
        Assert.Contains(cause, refusal.Message, StringComparison.Ordinal);
    }

    private static Session Filled(ulong id, uint keptBytesMax, int answers, int bytes, ulong floor = 0, ulong first = 1, ulong lastUsed = 8) => Session.Restore(
        id,
        lastUsed,
        floor,
        keptBytesMax,
        Enumerable.Range(0, answers).ToImmutableSortedDictionary(i => first + (ulong)i, i => new KeptAnswer(Enumerable.Repeat((byte)i, bytes).ToArray(), default)));

    private static MvccStore Holding(SessionTable table)
    {
        var store = new MvccStore();
        store.Change(table, 0);
        store.Publish(8, 1);
        return store;
    }

    private static byte[] Snapshot(MvccStore store, int slice, List<int>? sizes = null)
    {
        var payload = new MemoryStream();
        using var writer = new StoreSnapshotWriter(store, bytes =>
        {
            payload.Write(bytes);
            sizes?.Add(bytes.Length);
        });
        while (writer.WriteSlice(slice))
        {
            // Until it is whole.
        }

        return payload.ToArray();
    }

    private static MvccStore Read(byte[] payload)
    {
        var stream = new MemoryStream(payload);
        var reader = new StoreSnapshotReader(buffer => stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false), Membership.Empty, InlineForkJoin.One);
        MvccStore store = reader.Read();
        Assert.Equal(payload.Length, reader.BytesRead);
        return store;
    }

    private static void AssertSame(Session[] expected, SessionTable table)
    {
        Assert.Equal(expected.Select(session => session.Id), table.All.Select(session => session.Id));
        foreach ((Session session, Session back) in expected.Zip(table.All))
        {
            Assert.Equal((session.Bytes, session.Floor, session.LastUsed), (back.Bytes, back.Floor, back.LastUsed));
            Assert.All(session.Answers.Zip(back.Answers), pair => Assert.Equal(pair.First.Value.Answer, pair.Second.Value.Answer));
        }
    }

    private static SessionRequest Request(ulong session, ulong sequence, StoreRequest request, ulong acknowledgedBelow = 0) =>
        new() { SessionId = session, Sequence = sequence, AcknowledgedBelow = acknowledgedBelow, Request = request };

    private static PutRequest Put(string key, int bytes) => new() { Key = Bytes(key), Value = new byte[bytes], ReturnPrevious = true };

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);

    /// <summary>The apply loop's part of a member, without the loop.</summary>
    private sealed class Replica
    {
        private readonly SessionApplier _applier;

        public Replica()
            : this(new MvccStore())
        {
        }

        public Replica(MvccStore store)
        {
            Store = store;
            Index = store.View.AppliedIndex;
            _applier = new SessionApplier(store, new RequestApplier(store, 7, 1, new AppliedCounts()));
        }

        public MvccStore Store { get; }

        public ulong Index { get; private set; }

        public SessionTable Sessions => Store.Sessions;

        public ApplyResult Apply(StoreRequest request)
        {
            // Two requests to an entry, so that sessions are last used at the same one.
            _applier.Begin(++Index / 2, 1);
            return _applier.Apply(request, wantResponse: true);
        }

        public ulong Open(SessionLimits limits) => ((OpenSessionResponse)Apply(new OpenSessionRequest(limits)).Response!).SessionId;

        /// <summary>Of a put on the key that returns what was there.</summary>
        public int AnswerLength(string key)
        {
            ReadOnlyMemory<byte> value = Store.Unpublished.Find(Bytes(key)).ReadAt(Store.Revision).Value.ToArray();
            var item = new KeyValue(Bytes(key), value, default, default, 1, 0);
            return AnswerCodec.Encode(new PutResponse { Header = default!, Previous = item }, int.MaxValue)!.Length;
        }

        public MvccStore Published()
        {
            Store.Publish(Index, 1);
            return Store;
        }
    }

    /// <summary>The rules, once more: sums are taken anew each time, and nothing is clever.</summary>
    private sealed class Model
    {
        private SessionLimits _limits;
        private ulong _lastId;

        public SortedDictionary<ulong, Known> Sessions { get; } = [];

        public int Evicted { get; private set; }

        public ulong Bytes => Sessions.Values.Aggregate(0ul, (sum, known) => sum + 256 + (ulong)known.Answers.Values.Sum(length => 128 + length));

        public void Apply(StoreRequest request, ApplyResult result, ulong index)
        {
            switch (request)
            {
                case OpenSessionRequest open:
                    _limits = open.Limits;
                    Sessions.Add(++_lastId, new Known(open.Limits.SessionKeptBytesMax) { LastUsed = index / 2 });
                    Evict(_lastId);
                    break;
                case CloseSessionRequest close:
                    Sessions.Remove(close.SessionId);
                    break;
                case SessionRequest numbered:
                    Apply(numbered, result, index);
                    break;
            }
        }

        private void Apply(SessionRequest request, ApplyResult result, ulong index)
        {
            if (!Sessions.TryGetValue(request.SessionId, out Known? known))
            {
                Assert.Equal(MetaStoreError.SessionNotFound, result.Error);
                return;
            }

            known.LastUsed = index / 2;
            known.Floor = Math.Max(known.Floor, request.AcknowledgedBelow);
            foreach (ulong below in known.Answers.Keys.Where(sequence => sequence < known.Floor).ToArray())
            {
                known.Answers.Remove(below);
            }

            if (request.Sequence < known.Floor)
            {
                Assert.Equal(MetaStoreError.SessionSequenceTooOld, result.Error);
            }
            else if (known.Answers.TryGetValue(request.Sequence, out int length))
            {
                Assert.True(length > 0 ? ((SessionResponse)result.Response!).IsRepeated : result.Error is MetaStoreError.AnswerNotKept or MetaStoreError.KeyNotFound);
            }
            else if (request.Sequence >= Math.Max(known.Floor, 1) + SessionRequest.UnacknowledgedMax)
            {
                Assert.Equal(MetaStoreError.SessionFull, result.Error);
            }
            else
            {
                int bytes = result.IsFailed ? 0 : AnswerCodec.Encode(((SessionResponse)result.Response!).Answer, int.MaxValue)!.Length;
                known.Answers.Add(request.Sequence, known.Answers.Values.Sum() + bytes <= known.KeptBytesMax ? bytes : 0);
                Evict(request.SessionId);
            }
        }

        private void Evict(ulong used)
        {
            while (Sessions.Count > 1 && (Sessions.Count > _limits.SessionsMax || Bytes > _limits.TotalBytesMax))
            {
                Sessions.Remove(Sessions.Where(pair => pair.Key != used).MinBy(pair => (pair.Value.LastUsed, pair.Key)).Key);
                Evicted++;
            }
        }

        public sealed class Known(uint keptBytesMax)
        {
            public uint KeptBytesMax { get; } = keptBytesMax;

            public ulong Floor { get; set; }

            public ulong LastUsed { get; set; }

            /// <summary>The bytes of each, 0 where none are kept.</summary>
            public SortedDictionary<ulong, int> Answers { get; } = [];
        }
    }
}
