using System.Text;
using MetaStore.Engine.Coordination;
using MetaStore.Engine.Hosting;

namespace MetaStore.Engine.Tests;

/// <summary>Locks and elections over an embedded node.</summary>
public sealed class CoordinationTests : IAsyncLifetime
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly string _directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
    private MetaStoreNode _node = null!;

    public Task InitializeAsync()
    {
        _node = MetaStoreNode.OpenSingle(_directory);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _node.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_lock_goes_from_hand_to_hand_and_its_token_rises()
    {
        StoreLock first = await LockAsync("l");
        Assert.Equal($"l/{first.LeaseId:x}", Text(first.Key));
        Task<StoreLock> second = LockAsync("l");
        await CountAsync("l/", 2);
        Task<StoreLock> third = LockAsync("l");
        await CountAsync("l/", 3);
        Assert.False(second.IsCompleted || third.IsCompleted);
        Assert.True((await _node.TxnAsync(new TxnRequest { Compare = [first.StillHeld] })).Succeeded);
        await first.DisposeAsync();
        StoreLock held = await second.WaitAsync(s_patience);
        Assert.True(held.Token > first.Token);
        Assert.False((await _node.TxnAsync(new TxnRequest { Compare = [first.StillHeld] })).Succeeded);
        Assert.False(third.IsCompleted);
        await held.DisposeAsync();
        await held.DisposeAsync();
        StoreLock last = await third.WaitAsync(s_patience);
        Assert.True(last.Token > held.Token);
        Assert.True(last.Header.Revision > last.Token);
        await last.DisposeAsync();
        await CountAsync("l/", 0);
        Assert.Empty((await _node.LeasesAsync()).Ids);
    }

    [Fact]
    public async Task Who_gives_up_leaves_the_line_and_no_lease_behind()
    {
        await using StoreLock first = await LockAsync("l");
        using var caller = new CancellationTokenSource();
        Task<StoreLock> second = StoreLock.AcquireAsync(_node, Bytes("l"), cancellationToken: caller.Token).AsTask();
        await CountAsync("l/", 2);
        await caller.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await CountAsync("l/", 1);
        Assert.Equal([first.LeaseId], (await _node.LeasesAsync()).Ids);
    }

    [Fact]
    public async Task A_lease_that_ends_while_it_waits_is_no_lock()
    {
        await using StoreLock first = await LockAsync("l");
        Task<StoreLock> second = LockAsync("l");
        await CountAsync("l/", 2);
        long waiting = (await _node.LeasesAsync()).Ids.Single(id => id != first.LeaseId);
        await _node.RevokeLeaseAsync(new LeaseRevokeRequest(waiting));
        await first.DisposeAsync();
        MetaStoreException failure = await Assert.ThrowsAsync<MetaStoreException>(() => second.WaitAsync(s_patience));
        Assert.Equal(MetaStoreError.LeaseNotFound, failure.Error);
    }

    [Fact]
    public async Task A_lock_whose_lease_has_ended_says_so_and_guards_its_writes()
    {
        await using StoreLock held = await StoreLock.AcquireAsync(_node, Bytes("l"), new TurnOptions { TtlSeconds = 1 });
        await _node.RevokeLeaseAsync(new LeaseRevokeRequest(held.LeaseId));
        var lost = new TaskCompletionSource();
        await using CancellationTokenRegistration told = held.Lost.Register(lost.SetResult);
        await lost.Task.WaitAsync(s_patience);
        TxnResponse late = await _node.TxnAsync(new TxnRequest { Compare = [held.StillHeld], Success = [new PutRequest { Key = Bytes("guarded") }] });
        Assert.False(late.Succeeded);
    }

    /// <summary>What etcd's own clients do, by hand: a key of a lease under the lock's name.</summary>
    [Fact]
    public async Task Who_keeps_to_the_recipe_is_excluded_and_excludes()
    {
        await _node.GrantLeaseAsync(new LeaseGrantRequest(600, 0xff));
        await _node.PutAsync(new PutRequest { Key = Bytes("l/ff"), LeaseId = 0xff });
        Task<StoreLock> ours = LockAsync("l");
        await CountAsync("l/", 2);
        Assert.False(ours.IsCompleted);
        await _node.DeleteRangeAsync(new DeleteRangeRequest { Key = Bytes("l/ff") });
        await using StoreLock held = await ours.WaitAsync(s_patience);
        PutResponse theirs = await _node.PutAsync(new PutRequest { Key = Bytes("l/ff"), LeaseId = 0xff });
        Assert.True(theirs.Header.Revision > held.Token);
    }

    [Fact]
    public async Task An_election_has_one_leader_whose_values_are_told()
    {
        var election = new StoreElection(_node);
        Assert.Null(await election.LeaderAsync(Bytes("e")));
        var told = System.Threading.Channels.Channel.CreateUnbounded<string>();
        using var stop = new CancellationTokenSource();
        Task observing = election.ObserveAsync(Bytes("e"), seen => told.Writer.WriteAsync($"{Text(seen.Leader.Value)}@{seen.Header.Revision}"), stop.Token);
        Leadership first = await Leadership.CampaignAsync(_node, Bytes("e"), Bytes("one"));
        Assert.Equal($"one@{first.Token}", await told.Reader.ReadAsync().AsTask().WaitAsync(s_patience));
        Task<Leadership> second = Leadership.CampaignAsync(_node, Bytes("e"), Bytes("two")).AsTask();
        await CountAsync("e/", 2);
        Assert.True(await first.ProclaimAsync(Bytes("uno")));
        Assert.StartsWith("uno@", await told.Reader.ReadAsync().AsTask().WaitAsync(s_patience), StringComparison.Ordinal);
        Assert.Equal("uno", Text((await election.LeaderAsync(Bytes("e")))!.Leader.Value));
        Assert.False(second.IsCompleted);
        await first.DisposeAsync();
        await using Leadership next = await second.WaitAsync(s_patience);
        Assert.StartsWith("two@", await told.Reader.ReadAsync().AsTask().WaitAsync(s_patience), StringComparison.Ordinal);
        Assert.True(next.Token > first.Token);
        Assert.False(await first.ProclaimAsync(Bytes("late")));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => observing);
    }

    [Fact]
    public async Task A_time_to_live_that_makes_no_sense_is_refused()
    {
        ArgumentException refusal = await Assert.ThrowsAsync<ArgumentException>(async () => await StoreLock.AcquireAsync(_node, Bytes("l"), new TurnOptions { TtlSeconds = 0 }));
        Assert.Contains("TtlSeconds is 0; it must be from 1", refusal.Message);
    }

    private Task<StoreLock> LockAsync(string name) => StoreLock.AcquireAsync(_node, Bytes(name), new TurnOptions { TtlSeconds = 600 }).AsTask();

    /// <summary>Waits until there are so many keys under the prefix.</summary>
    private async Task CountAsync(string prefix, long count)
    {
        using var patience = new CancellationTokenSource(s_patience);
        var all = new RangeRequest { Key = Bytes(prefix), RangeEnd = TurnQueue.EndOf(Bytes(prefix)), CountOnly = true };
        while ((await _node.RangeAsync(all, patience.Token)).Count != count)
        {
            await Task.Delay(1, patience.Token);
        }
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static string Text(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);
}
