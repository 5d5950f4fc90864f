using System.Collections.Immutable;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

/// <summary>The leader's time-keeping, by itself: what it proposes when, and what a renewal comes to.</summary>
public sealed class LessorTests
{
    private const double Drift = 0.1;
    private const long Ttl = 8000;

    private readonly Lessor _lessor = new(Drift);
    private ulong _index = 10;

    [Fact]
    public void ALeaseRunsOut_NotBeforeItsTimeByTheFastestClock()
    {
        Promote(0, Granted(1));
        Assert.IsNotType<ExpireLeasesRequest>(At(8799));
        Assert.Equal([1L], Assert.IsType<ExpireLeasesRequest>(At(8800)).Ids);
    }

    [Fact]
    public void ARenewal_BeginsItAnew_WithoutAWordToTheLog()
    {
        Promote(0, Granted(1));
        for (long now = 900; now < 90_000; now += 900)
        {
            Assert.Equal(Renewal.Done, _lessor.TryRenew(1, now, out long ttl));
            Assert.Equal(Ttl, ttl);
            Assert.Null(At(now + 800));
        }
    }

    [Fact]
    public void ALeaseThatNobodyRenews_IsCheckpointed_AndTheNextLeaderGoesOnFromThere()
    {
        Promote(0, Granted(1));
        var checkpoint = Assert.IsType<CheckpointLeasesRequest>(At(4400));
        Assert.Equal([new LeaseCheckpoint(1, 4000)], checkpoint.Leases);

        Promote(50_000, Granted(1) with { RemainingMilliseconds = 4000 });
        Assert.Equal((Ttl, 4000), _lessor.Find(1, 50_000));
        Assert.IsNotType<ExpireLeasesRequest>(At(54_399));
        Assert.IsType<ExpireLeasesRequest>(At(54_400));
    }

    /// <summary>Each leader is lost at the worst moment: when it is about to tell the log what is left.</summary>
    [Theory]
    [InlineData(5000)]
    [InlineData(Ttl)]
    [InlineData(60_000)]
    public void ThreeChangesOfTheLeader_DoNotKeepALease_ForTwiceItsTime(long ttl)
    {
        Lease lease = Granted(1) with { TtlMilliseconds = ttl, RemainingMilliseconds = ttl };
        Promote(0);
        _lessor.Hear(new LeaseNews(++_index, LeaseChange.Granted, 1, ttl, ttl), 0);
        long now = FirstProposal<CheckpointLeasesRequest>(from: 0);
        for (int change = 1; change < 3; change++)
        {
            Promote(now, lease);
            now = FirstProposal<CheckpointLeasesRequest>(now);
        }

        Promote(now, lease);
        Assert.InRange(FirstProposal<ExpireLeasesRequest>(now), (long)(ttl * (1 + Drift)), ttl * 17 / 10);
    }

    [Fact]
    public void ARenewalOfACheckpointedLease_WaitsUntilTheLogSaysThatAllOfItIsLeft()
    {
        Promote(0, Granted(1) with { RemainingMilliseconds = 4000 });
        Assert.Equal(Renewal.Waits, _lessor.TryRenew(1, 100, out _));
        Assert.Equal(Renewal.Waits, _lessor.TryRenew(1, 200, out _));
        var clearing = Assert.IsType<CheckpointLeasesRequest>(At(200));
        Assert.Equal([new LeaseCheckpoint(1, Ttl)], clearing.Leases);
        Assert.Null(At(300));
        Hear(LeaseChange.Checkpointed, 1, Ttl);
        Assert.Equal(Renewal.Done, _lessor.TryRenew(1, 400, out _));
        Assert.Equal((Ttl, Ttl), _lessor.Find(1, 400));
    }

    [Fact]
    public void ACheckpointThatIsUnderWay_IsPutRightToo()
    {
        Promote(0, Granted(1));
        Assert.IsType<CheckpointLeasesRequest>(At(4400));
        Assert.Equal(Renewal.Waits, _lessor.TryRenew(1, 4500, out _));
        Hear(LeaseChange.Checkpointed, 1, 4000);
        Assert.Equal(Renewal.Waits, _lessor.TryRenew(1, 4600, out _));
        Assert.IsType<CheckpointLeasesRequest>(At(4600));
        Hear(LeaseChange.Checkpointed, 1, Ttl);
        Assert.Equal(Renewal.Done, _lessor.TryRenew(1, 4700, out _));
    }

    [Fact]
    public void OnceItsRevocationIsInTheLog_ALeaseIsNotRenewed()
    {
        Promote(0, Granted(1));
        _lessor.Advance(9000);
        Assert.Equal(Renewal.Done, _lessor.TryRenew(1, 9000, out _)); // Nobody has been told yet.
        Assert.Null(At(9001));
        Assert.IsType<ExpireLeasesRequest>(At(20_000));
        Assert.Equal(Renewal.Waits, _lessor.TryRenew(1, 20_000, out _));
        Hear(LeaseChange.Ended, 1, 0);
        Assert.Equal(Renewal.Unknown, _lessor.TryRenew(1, 20_001, out _));
        Assert.Null(_lessor.Find(1, 20_001));
        Assert.Equal(0, _lessor.Count);
    }

    [Fact]
    public void ManyThatRunOutTogether_AreRevokedSomeAtATime()
    {
        Promote(0, [.. Enumerable.Range(1, 700).Select(id => Granted(id))]);
        _lessor.Advance(9000);
        int revoked = 0;
        for (int entries = 0; _lessor.Count > 0; entries++)
        {
            var first = Assert.IsType<ExpireLeasesRequest>(_lessor.Propose(View(), 9000));
            _lessor.Proposed(++_index);
            var second = _lessor.Propose(View(_index - 1), 9000) as ExpireLeasesRequest;
            if (second is not null)
            {
                _lessor.Proposed(++_index);
                Assert.Null(_lessor.Propose(View(_index - 2), 9000));
            }

            long[] ids = [.. first.Ids, .. second?.Ids ?? []];
            Assert.All([first.Ids.Count, second?.Ids.Count ?? 0], count => Assert.InRange(count, 0, Lessor.ExpiredPerEntry));
            revoked += ids.Length;
            Array.ForEach(ids, id => Hear(LeaseChange.Ended, id, 0));
            Assert.InRange(entries, 0, 10);
        }

        Assert.Equal(700, revoked);
    }

    [Fact]
    public void WhatCouldNotBeProposed_IsProposedAgain()
    {
        Promote(0, Granted(1));
        _lessor.Advance(9000);
        StoreRequest refused = _lessor.Propose(View(), 9000)!;
        _lessor.PutBack(refused);
        Assert.Equal([1L], Assert.IsType<ExpireLeasesRequest>(_lessor.Propose(View(), 9000)).Ids);
    }

    [Fact]
    public void NewsFromBeforeTheOffice_ChangeNothing()
    {
        Promote(0, Granted(1));
        _lessor.Hear(new LeaseNews(10, LeaseChange.Ended, 1, 0, 0), 0);
        Assert.Equal(1, _lessor.Count);
        _lessor.Hear(new LeaseNews(11, LeaseChange.Ended, 1, 0, 0), 0);
        Assert.Equal(0, _lessor.Count);
    }

    [Fact]
    public void APauseOfTheClock_CountsForLittle()
    {
        var time = new SteppedNode.ManualTime();
        var clock = new LeaseClock(time, TimeSpan.FromMilliseconds(200));
        time.Advance(TimeSpan.FromMilliseconds(150));
        Assert.Equal(150, clock.Read());
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(350, clock.Read());
        time.Advance(TimeSpan.FromMilliseconds(100));
        Assert.Equal(450, clock.Read());
    }

    private static Lease Granted(long id) => new(id, Ttl, Ttl, false, Lease.NoKeys);

    private static StoreView View(ulong applied, params Lease[] leases) => new()
    {
        Revision = 1,
        CompactRevision = 0,
        Index = default,
        AppliedIndex = applied,
        AppliedTerm = 3,
        Digest = 0,
        Leases = new LeaseTable(leases.ToImmutableSortedDictionary(lease => lease.Id, lease => lease), 0),
    };

    private StoreView View() => View(_index);

    private void Promote(long now, params Lease[] leases) => _lessor.Promote(3, View(_index, leases), now);

    private void Hear(LeaseChange change, long id, long remaining) => _lessor.Hear(new LeaseNews(++_index, change, id, Ttl, remaining), 0);

    /// <summary>When something of the kind is proposed. Nothing that is proposed is ever applied.</summary>
    private long FirstProposal<T>(long from)
        where T : StoreRequest
    {
        for (long now = from; ; now++)
        {
            Assert.InRange(now - from, 0, 100_000);
            _lessor.Advance(now);
            StoreRequest? request = _lessor.Propose(View(), now);
            if (request is T)
            {
                return now;
            }

            if (request is not null)
            {
                _lessor.Proposed(_index);
            }
        }
    }

    /// <summary>What is proposed last when the time has come there, with everything before it appended.</summary>
    private StoreRequest? At(long now)
    {
        _lessor.Advance(now);
        StoreRequest? request = _lessor.Propose(View(), now);
        if (request is not null)
        {
            _lessor.Proposed(_index);
        }

        return request;
    }
}
