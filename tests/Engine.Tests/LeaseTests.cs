using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Snapshots;
using MetaStore.Testing;

namespace MetaStore.Engine.Tests;

/// <summary>Leases on a whole node: what is granted ends, and takes its keys with it.</summary>
public sealed class LeaseTests
{
    [Fact]
    public void ALeaseThatRunsOut_TakesItsKeysWithIt_InOneRevision()
    {
        using var node = new SteppedNode();
        Assert.Equal("@1 granted 7 10", node.Run(new LeaseGrantRequest(10, 7)));
        node.Run(Put("a", 7));
        node.Run(Put("b", 7));
        node.Run(Put("c", 0));
        node.Pass(TimeSpan.FromSeconds(10));
        Assert.Equal(3, Count(node));
        node.Pass(TimeSpan.FromSeconds(1.2));
        Assert.Equal("@5 count 1 c=c(c4 m4 v1 l0)", node.Run(All));
        Assert.Empty(node.Wait(node.Core.LeasesAsync()).Ids);
        Assert.Equal("error LeaseNotFound", node.Run(Put("a", 7)));
    }

    [Fact]
    public void Renewed_ItLives_AndCostsTheLogNothing()
    {
        using var node = new SteppedNode();
        node.Run(new LeaseGrantRequest(10, 7));
        node.Run(Put("a", 7));
        node.Pass(TimeSpan.FromSeconds(3)); // A member that has started tells the others of itself.
        node.Wait(node.Core.KeepLeaseAliveAsync(7));
        ulong index = node.Core.View.AppliedIndex;
        for (int i = 0; i < 20; i++)
        {
            node.Pass(TimeSpan.FromSeconds(3));
            LeaseKeepAliveResponse renewed = node.Wait(node.Core.KeepLeaseAliveAsync(7));
            Assert.Equal((7, 10), (renewed.Id, renewed.Ttl));
        }

        Assert.Equal(index, node.Core.View.AppliedIndex);
        Assert.Equal(1, Count(node));
        node.Pass(TimeSpan.FromSeconds(12));
        Assert.Equal(0, Count(node));
        Assert.Equal(0, node.Wait(node.Core.KeepLeaseAliveAsync(7)).Ttl);
        Assert.Equal(0, node.Core.OperationsRented);
    }

    [Fact]
    public void WhatALeaseHasLeft_AndItsKeys_CanBeAsked()
    {
        using var node = new SteppedNode();
        node.Run(new LeaseGrantRequest(100, 7));
        node.Run(Put("b", 7));
        node.Run(Put("a", 7));
        node.Pass(TimeSpan.FromSeconds(20));
        LeaseTimeToLiveResponse left = node.Wait(node.Core.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(7, WithKeys: true)));
        Assert.Equal((7, 100), (left.Id, left.GrantedTtl));
        Assert.InRange(left.Ttl, 80, 83); // By the leader's clock, which may run fast.
        Assert.Equal(["a", "b"], left.Keys.Select(key => Encoding.ASCII.GetString(key.Span)));
        Assert.Empty(node.Wait(node.Core.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(7))).Keys);
        Assert.Equal((-1, 0), (node.Wait(node.Core.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(8))).Ttl, node.Wait(node.Core.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(8))).GrantedTtl));
    }

    [Fact]
    public void APutWithoutTheLease_AndADelete_TakeTheKeyOut()
    {
        using var node = new SteppedNode();
        node.Run(new LeaseGrantRequest(100, 7));
        node.Run(new LeaseGrantRequest(100, 8));
        foreach (string key in (string[])["a", "b", "c", "d"])
        {
            node.Run(Put(key, 7));
        }

        node.Run(Put("a", 0));
        node.Run(Put("b", 8));
        node.Run(new DeleteRangeRequest { Key = Bytes("c") });
        node.Run(new PutRequest { Key = Bytes("d"), Value = Bytes("D"), IgnoreLease = true });
        Assert.Equal("@10 revoked", node.Run(new LeaseRevokeRequest(7)));
        Assert.Equal("@10 count 2 a=a(c2 m6 v2 l0) b=b(c3 m7 v2 l8)", node.Run(All));
        Assert.Equal("@10 granted 7 100", node.Run(new LeaseGrantRequest(100, 7)));
        Assert.Equal("@10 revoked", node.Run(new LeaseRevokeRequest(7)));
        Assert.Equal("error LeaseNotFound", node.Run(new LeaseRevokeRequest(7)));
    }

    [Fact]
    public void WhatCannotBe_IsRefused_WithEtcdsWords()
    {
        using var node = new SteppedNode();
        node.Run(new LeaseGrantRequest(100, 7));
        Assert.Equal("lease already exists", Fails(node, new LeaseGrantRequest(100, 7)));
        Assert.Equal("too large lease TTL", Fails(node, new LeaseGrantRequest(LeaseGrantRequest.TtlMax + 1)));
        Assert.Contains("negative", Fails(node, new LeaseGrantRequest(100, -1)), StringComparison.Ordinal);
        Assert.Equal("requested lease not found", Fails(node, Put("a", 8)));
        Assert.Equal("requested lease not found", Fails(node, Put("a", -7)));
        var second = new TxnRequest { Success = [Put("a", 7), Put("b", 8)] };
        Assert.Equal("requested lease not found", Fails(node, second));
        Assert.Equal(0, Count(node));
        Assert.Contains("not both", Fails(node, Put("a", 7) with { TimeToLive = TimeSpan.FromSeconds(5) }), StringComparison.Ordinal);
        Assert.Contains("TimeToLive is", Fails(node, Put("a", 0) with { TimeToLive = TimeSpan.FromSeconds(-5) }), StringComparison.Ordinal);
    }

    [Fact]
    public void AShortTimeToLive_IsRaised_AndTheStoreChoosesIds()
    {
        using var node = new SteppedNode();
        LeaseGrantResponse first = node.Wait(node.Core.GrantLeaseAsync(new LeaseGrantRequest(0)));
        LeaseGrantResponse second = node.Wait(node.Core.GrantLeaseAsync(new LeaseGrantRequest(1)));
        Assert.Equal((2, 2), (first.Ttl, second.Ttl));
        Assert.True(first.Id > 0 && second.Id > 0 && first.Id != second.Id, $"{first.Id} and {second.Id} are ids");
        Assert.Equal(((long[])[first.Id, second.Id]).Order(), node.Wait(node.Core.LeasesAsync()).Ids);
    }

    [Fact]
    public void AKeyWithATimeToLive_GoesByItself_AndItsLeaseEndsWithTheNextPutOrDelete()
    {
        using var node = new SteppedNode();
        PutRequest put = Put("a", 0) with { TimeToLive = TimeSpan.FromSeconds(5) };
        node.Run(put);
        node.Run(put with { Key = Bytes("b") });
        node.Run(put with { Key = Bytes("c") });
        node.Run(put with { Key = Bytes("d") });
        Assert.Equal(4, node.Wait(node.Core.LeasesAsync()).Ids.Count);
        node.Run(Put("a", 0));
        node.Run(new DeleteRangeRequest { Key = Bytes("b") });
        Assert.Equal(2, node.Wait(node.Core.LeasesAsync()).Ids.Count);
        node.Pass(TimeSpan.FromSeconds(3));
        node.Run(new PutRequest { Key = Bytes("c"), Value = Bytes("C"), IgnoreLease = true });
        node.Run(put with { Key = Bytes("d") });
        node.Pass(TimeSpan.FromSeconds(3));
        Assert.Equal("ad", Keys(node));
        node.Pass(TimeSpan.FromSeconds(3));
        Assert.Equal("a", Keys(node));
        Assert.Empty(node.Wait(node.Core.LeasesAsync()).Ids);
    }

    [Fact]
    public void InATransaction_AKeyMayTakeOverTheLeaseOfAnother()
    {
        using var node = new SteppedNode();
        node.Run(Put("a", 0) with { TimeToLive = TimeSpan.FromSeconds(5) });
        long lease = Assert.Single(node.Wait(node.Core.LeasesAsync()).Ids);
        node.Run(new TxnRequest { Success = [Put("a", 0), Put("b", lease)] });
        Assert.Equal(lease, Assert.Single(node.Wait(node.Core.LeasesAsync()).Ids));
        Assert.Equal(5, node.Wait(node.Core.KeepLeaseAliveAsync(lease)).Ttl);
        node.Pass(TimeSpan.FromSeconds(6));
        Assert.Equal("a", Keys(node));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LeasesAndTheirKeys_OutliveARestart(bool bySnapshot)
    {
        using var node = new SteppedNode(bySnapshot ? new SnapshotOptions { EntriesMin = 5, LogBytesMin = 1, EntriesKept = 0 } : null);
        node.Run(new LeaseGrantRequest(10, 7));
        node.Run(Put("a", 7));
        node.Run(Put("b", 0) with { TimeToLive = TimeSpan.FromSeconds(20) });
        for (int i = 0; i < 40; i++)
        {
            node.Run(Put("c", i % 2 == 0 ? 7 : 0));
        }

        Assert.Equal(bySnapshot, node.Wait(node.Core.StatusAsync()).SnapshotIndex > 20);
        string before = Describe(node.Core.View.Leases);
        node.Restart(CrashPolicy.ProcessKill);
        node.Run(Put("d", 7));
        node.Run(new DeleteRangeRequest { Key = Bytes("d") });
        Assert.Equal(before, Describe(node.Core.View.Leases));
        node.Pass(TimeSpan.FromSeconds(12));
        Assert.Equal("bc", Keys(node));
        node.Pass(TimeSpan.FromSeconds(12));
        Assert.Equal("c", Keys(node));
    }

    /// <summary>Each leader begins with what the last checkpoint said; else a lease would outlive its client for as long as leaders change.</summary>
    [Fact]
    public void HoweverOftenTheLeaderChanges_ALeaseThatNobodyRenewsEnds()
    {
        using var node = new SteppedNode();
        node.Run(new LeaseGrantRequest(20, 7));
        node.Run(Put("a", 7));
        for (int i = 0; i < 8; i++)
        {
            node.Pass(TimeSpan.FromSeconds(5));
            node.Restart(CrashPolicy.ProcessKill);
        }

        Assert.Equal(0, Count(node));
    }

    /// <summary>And what is renewed is begun in full by the next leader, whatever a checkpoint had said before.</summary>
    [Fact]
    public void ARenewal_CountsForTheNextLeaderToo()
    {
        using var node = new SteppedNode();
        node.Run(new LeaseGrantRequest(20, 7));
        node.Run(Put("a", 7));
        node.Pass(TimeSpan.FromSeconds(19));
        Assert.True(node.Core.View.Leases.Find(7)!.IsCheckpointed, "a lease that was not renewed for so long is checkpointed");
        Assert.Equal(20, node.Wait(node.Core.KeepLeaseAliveAsync(7)).Ttl);
        Assert.False(node.Core.View.Leases.Find(7)!.IsCheckpointed, "the log says that all of it is left");
        node.Restart(CrashPolicy.ProcessKill);
        node.Pass(TimeSpan.FromSeconds(19));
        Assert.Equal(1, Count(node));
    }

    /// <summary>Applying stands still for longer than a time to live, as by a removal of millions of keys. Renewals that come meanwhile are answered when it goes on, and the lease lives.</summary>
    [Fact]
    public void RenewalsThatComeInTime_Count_HoweverLongApplyingTakes()
    {
        using var node = new SteppedNode();
        node.Wait(node.Core.GrantLeaseAsync(new LeaseGrantRequest(6, 7)));
        node.Run(Put("k", 7));
        ValueTask<PutResponse> slow = ((IMetaStore)node.Core).PutAsync(Put("slow", 0));
        ValueTask<LeaseKeepAliveResponse> renewal = default;
        for (int tenths = 0; tenths < 300; tenths++)
        {
            if (tenths % 20 == 0)
            {
                renewal = node.Core.KeepLeaseAliveAsync(7);
            }

            node.Time.Advance(TimeSpan.FromMilliseconds(100));
            node.Settle(except: "apply");
        }

        Assert.False(slow.IsCompleted);
        node.Wait(slow);
        Assert.Equal("kslow", Keys(node));
        Assert.Equal(6, node.Wait(renewal).Ttl);
        Assert.Single(node.Wait(node.Core.LeasesAsync()).Ids);
    }

    [Fact]
    public void WhatRunsOut_IsRevoked_ThoughTheQueueIsFull()
    {
        using var node = new SteppedNode(proposer: new Replication.ProposerOptions { OperationsMax = 3 });
        node.Run(new LeaseGrantRequest(5, 7));
        node.Run(new LeaseGrantRequest(5, 8));
        node.Run(Put("a", 7));
        node.Pass(TimeSpan.FromSeconds(4));
        ValueTask<PutResponse>[] load = [.. Enumerable.Range(0, 3).Select(i => node.Core.PutAsync(Put($"k{i}", 0)))];
        Assert.Throws<MetaStoreException>(() => { _ = node.Core.PutAsync(Put("k", 0)); });
        ValueTask<LeaseKeepAliveResponse> renewal = node.Core.KeepLeaseAliveAsync(8);
        node.Pass(TimeSpan.FromSeconds(2));
        Assert.Equal(5, node.Wait(renewal).Ttl);
        Assert.All(load, put => Assert.Null(node.Wait(put).Previous));
        Assert.Equal([8L], node.Wait(node.Core.LeasesAsync()).Ids);
    }

    [Fact]
    public void InASession_AGrantIsMadeOnce()
    {
        using var node = new SteppedNode();
        ulong session = node.Wait(node.Core.OpenSessionAsync()).SessionId;
        var grant = new SessionRequest { SessionId = session, Sequence = 1, AcknowledgedBelow = 0, Request = new LeaseGrantRequest(100) };
        var first = (LeaseGrantResponse)node.Wait(node.Core.ExecuteAsync(grant)).Answer;
        var again = (LeaseGrantResponse)node.Wait(node.Core.ExecuteAsync(grant)).Answer;
        Assert.Equal(first, again);
        Assert.Equal([first.Id], node.Wait(node.Core.LeasesAsync()).Ids);
        SessionRequest revoke = grant with { Sequence = 2, Request = new LeaseRevokeRequest(first.Id) };
        Assert.IsType<LeaseRevokeResponse>(node.Wait(node.Core.ExecuteAsync(revoke)).Answer);
        Assert.True(node.Wait(node.Core.ExecuteAsync(revoke)).IsRepeated);
    }

    [Fact]
    public async Task AKeeper_KeepsItsLease_AndSaysWhenItIsLost()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
        try
        {
            await using MetaStoreNode node = MetaStoreNode.OpenSingle(directory);
            await using (LeaseKeeper keeper = await LeaseKeeper.GrantAsync(node, new LeaseGrantRequest(60), new LeaseKeeperOptions { RevokeOnDispose = true }))
            {
                await node.PutAsync(Put("a", keeper.LeaseId));
                Assert.False(keeper.Lost.IsCancellationRequested, "a lease that was granted a moment ago is not lost");
            }

            Assert.Equal(0, (await node.RangeAsync(new RangeRequest { Key = Bytes("a") })).Count);
            LeaseKeeper lost = await LeaseKeeper.GrantAsync(node, new LeaseGrantRequest(2));
            await node.RevokeLeaseAsync(new LeaseRevokeRequest(lost.LeaseId));
            var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using (lost.Lost.Register(told.SetResult))
            {
                await told.Task.WaitAsync(TimeSpan.FromSeconds(60));
            }

            await lost.DisposeAsync();
            MetaStoreException missing = await Assert.ThrowsAsync<MetaStoreException>(async () => await LeaseKeeper.KeepAsync(node, 12345));
            Assert.Equal(MetaStoreError.LeaseNotFound, missing.Error);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static RangeRequest All => new() { Key = Bytes("\0"), RangeEnd = Bytes("\0") };

    private static string Keys(SteppedNode node) =>
        string.Concat(node.Wait(node.Core.RangeAsync(All)).Items.Select(item => Encoding.ASCII.GetString(item.Key.Span)));

    private static long Count(SteppedNode node) => node.Wait(node.Core.RangeAsync(All)).Count;

    private static string Describe(LeaseTable leases) => string.Join(
        "; ", leases.All.Select(lease => $"{lease.Id} {lease.TtlMilliseconds} {lease.EndsWithLastKey} {string.Join(',', lease.Keys.Select(Encoding.ASCII.GetString))}"));

    private static string Fails(SteppedNode node, StoreRequest request) => Assert.Throws<MetaStoreException>(() => request switch
    {
        LeaseGrantRequest grant => (StoreResponse)node.Wait(node.Core.GrantLeaseAsync(grant)),
        TxnRequest txn => node.Wait(node.Core.TxnAsync(txn)),
        _ => node.Wait(node.Core.PutAsync((PutRequest)request)),
    }).Message;

    private static PutRequest Put(string key, long lease) => new() { Key = Bytes(key), Value = Bytes(key), LeaseId = lease };

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);
}
