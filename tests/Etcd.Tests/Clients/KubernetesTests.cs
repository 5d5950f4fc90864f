using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;
using static MetaStore.Etcd.Messages.Compare.Types;

namespace MetaStore.Etcd.Tests.Clients;

/// <summary>What kube-apiserver asks of etcd (client/v3/kubernetes, and etcd3/store.go of the apiserver), and what it goes by in the answers.</summary>
public sealed class KubernetesTests : ClientTest
{
    private const string Pods = "/registry/pods/";

    /// <summary>Each change is conditional on the revision that was read; who loses gets what is there with the same answer.</summary>
    [Fact]
    public async Task Objects_are_created_changed_and_deleted_as_they_were_read()
    {
        const string Key = Pods + "a";
        TxnResponse created = await PutIfAsync(Key, "1", 0);
        Assert.True(created.Succeeded);
        long first = created.Header.Revision;

        TxnResponse again = await PutIfAsync(Key, "2", 0);
        Assert.False(again.Succeeded);
        Assert.Equal((first, "1"), (again.Responses[0].ResponseRange.Kvs[0].ModRevision, again.Responses[0].ResponseRange.Kvs[0].Value.ToStringUtf8()));
        Assert.True((await PutIfAsync(Key, "2", first)).Succeeded);

        Assert.False((await DeleteIfAsync(Key, first)).Succeeded);
        TxnResponse deleted = await DeleteIfAsync(Key, first + 1);
        Assert.Equal((true, 1), (deleted.Succeeded, deleted.Responses[0].ResponseDeleteRange.Deleted));
        TxnResponse gone = await PutIfAsync(Key, "3", first + 1);
        Assert.Equal((false, 0), (gone.Succeeded, gone.Responses[0].ResponseRange.Kvs.Count));
    }

    /// <summary>Pages of one list are of one revision, whatever is written meanwhile; each begins behind the last key of the one before.</summary>
    [Fact]
    public async Task Lists_come_in_pages_of_one_revision()
    {
        for (int i = 0; i < 25; i++)
        {
            await PutIfAsync($"{Pods}{i:d2}", "x", 0);
        }

        RangeRequest list = EtcdCalls.Prefix(Pods);
        list.Limit = 10;
        var seen = new List<string>();
        RangeResponse page;
        do
        {
            page = await Etcd.RangeAsync(list);
            seen.AddRange(page.Kvs.Select(kv => kv.Key.ToStringUtf8()));
            list.Revision = list.Revision == 0 ? page.Header.Revision : list.Revision;
            list.Key = ByteString.CopyFrom([.. page.Kvs[^1].Key.Span, 0]);
            Assert.Equal(25 - seen.Count + page.Kvs.Count, page.Count);
            await Etcd.PutAsync(Say.PutOf($"{Pods}{seen.Count:d2}+", "new"));
            await Etcd.DeleteAsync(new DeleteRangeRequest { Key = Say.Bytes($"{Pods}{seen.Count + 1:d2}") });
        }
        while (page.More);

        Assert.Equal(Enumerable.Range(0, 25).Select(i => $"{Pods}{i:d2}"), seen);
        RangeRequest count = EtcdCalls.Prefix(Pods);
        count.CountOnly = true;
        Assert.Equal(26, (await Etcd.RangeAsync(count)).Count);
    }

    [Fact]
    public async Task A_list_in_a_stream_is_the_same_list()
    {
        for (int i = 0; i < 25; i++)
        {
            await PutIfAsync($"{Pods}{i:d2}", "x", 0);
        }

        using GrpcStream stream = Etcd.Open(Say.RangeStream);
        stream.Say(EtcdCalls.Prefix(Pods));
        stream.SayNoMore();
        var merged = new RangeStreamResponse();
        while (await stream.HearAsync(RangeStreamResponse.Parser) is { } part)
        {
            merged.MergeFrom(part);
        }

        Assert.Equal(await Etcd.RangeAsync(EtcdCalls.Prefix(Pods)), merged.RangeResponse);
    }

    /// <summary>The cache that reads are served from is as new as the revision that the watch says it has come to.</summary>
    [Fact]
    public async Task A_watch_from_the_list_on_tells_each_change_and_how_far_it_has_come()
    {
        await PutIfAsync(Pods + "a", "1", 0);
        long listed = (await Etcd.RangeAsync(EtcdCalls.Prefix(Pods))).Header.Revision;
        await PutIfAsync(Pods + "a", "2", listed);
        await DeleteIfAsync(Pods + "a", listed + 1);
        using GrpcStream watch = await Etcd.WatchAsync(
            new WatchCreateRequest { Key = Say.Bytes(Pods), RangeEnd = EtcdCalls.EndOf(Pods), StartRevision = listed + 1, PrevKv = true, ProgressNotify = true });

        var events = new List<Event>();
        while (events.Count < 2)
        {
            events.AddRange((await watch.HearAsync(WatchResponse.Parser))!.Events);
        }

        Assert.Equal((Event.Types.EventType.Put, "1"), (events[0].Type, events[0].PrevKv.Value.ToStringUtf8()));
        Assert.False(events[0].Kv.CreateRevision == events[0].Kv.ModRevision, "what was there before was not created by the change");
        Assert.Equal((Event.Types.EventType.Delete, "2", listed + 2), (events[1].Type, events[1].PrevKv.Value.ToStringUtf8(), events[1].Kv.ModRevision));

        long elsewhere = (await Etcd.PutAsync(Say.PutOf("/registry/secrets/a", "1"))).Header.Revision;
        watch.Say(new WatchRequest { ProgressRequest = new WatchProgressRequest() });
        WatchResponse progress = (await watch.HearAsync(WatchResponse.Parser))!;
        Assert.Equal((-1, 0), (progress.WatchId, progress.Events.Count));
        Assert.True(progress.Header.Revision >= elsewhere, $"{progress} comes to less than {elsewhere}");
    }

    /// <summary>All apiservers agree by one key on who compacts; whoever is behind that is told so and lists anew.</summary>
    [Fact]
    public async Task Compaction_is_agreed_upon_and_ends_old_lists_and_watches()
    {
        const string Key = "compact_rev_key";
        long revision = (await Etcd.PutAsync(Say.PutOf(Pods + "a", "1"))).Header.Revision;
        await Etcd.PutAsync(Say.PutOf(Pods + "a", "2"));
        TxnResponse first = await Etcd.TxnAsync(
            EtcdCalls.Where(Key, CompareTarget.Version, 0), Say.Op(Say.PutOf(Key, "1")), Say.Op(new RangeRequest { Key = Say.Bytes(Key) }));
        TxnResponse second = await Etcd.TxnAsync(
            EtcdCalls.Where(Key, CompareTarget.Version, 0), Say.Op(Say.PutOf(Key, "1")), Say.Op(new RangeRequest { Key = Say.Bytes(Key) }));
        Assert.Equal((true, false, 1), (first.Succeeded, second.Succeeded, second.Responses[0].ResponseRange.Kvs[0].Version));
        await Etcd.CompactAsync(first.Header.Revision);

        RangeRequest old = EtcdCalls.Prefix(Pods);
        old.Revision = revision;
        GrpcAnswer refused = await Etcd.FailAsync(Say.Range, old);
        Assert.Equal(("11", "etcdserver: mvcc: required revision has been compacted"), (refused.Status, Uri.UnescapeDataString(refused.Message!)));
        using GrpcStream watch = await Etcd.WatchAsync(new WatchCreateRequest { Key = Say.Bytes(Pods), RangeEnd = EtcdCalls.EndOf(Pods), StartRevision = revision });
        WatchResponse canceled = (await watch.HearAsync(WatchResponse.Parser))!;
        Assert.Equal((true, first.Header.Revision), (canceled.Canceled, canceled.CompactRevision));
    }

    /// <summary>Events of one minute share a lease.</summary>
    [Fact]
    public async Task Objects_with_a_time_to_live_share_a_lease()
    {
        long lease = await Etcd.GrantAsync(3600);
        for (int i = 0; i < 3; i++)
        {
            TxnResponse created = await Etcd.TxnAsync(
                EtcdCalls.Where($"/registry/events/{i}", CompareTarget.Mod, 0), Say.Op(Say.PutOf($"/registry/events/{i}", "x", lease)));
            Assert.True(created.Succeeded);
        }

        await Etcd.RevokeAsync(lease);
        Assert.Equal(0, (await Etcd.RangeAsync(EtcdCalls.Prefix("/registry/events/"))).Count);
    }

    /// <summary>From 3.4.31 and 3.5.13 on progress may be asked for; reads are not served from caches otherwise.</summary>
    [Fact]
    public async Task The_version_says_that_progress_may_be_asked_for() =>
        Assert.True(Version.Parse((await Etcd.StatusAsync()).Version) >= new Version(3, 5, 13));

    private Task<TxnResponse> PutIfAsync(string key, string value, long revision) =>
        Etcd.TxnAsync(EtcdCalls.Where(key, CompareTarget.Mod, revision), Say.Op(Say.PutOf(key, value)), Say.Op(new RangeRequest { Key = Say.Bytes(key) }));

    private Task<TxnResponse> DeleteIfAsync(string key, long revision) =>
        Etcd.TxnAsync(EtcdCalls.Where(key, CompareTarget.Mod, revision), Say.Op(new DeleteRangeRequest { Key = Say.Bytes(key) }), Say.Op(new RangeRequest { Key = Say.Bytes(key) }));
}
