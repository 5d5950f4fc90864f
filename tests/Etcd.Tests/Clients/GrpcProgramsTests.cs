using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;
using static MetaStore.Etcd.Messages.Compare.Types;

namespace MetaStore.Etcd.Tests.Clients;

/// <summary>What CoreDNS, Traefik, Vitess and M3 ask of etcd over gRPC, and what they go by in the answers.</summary>
public sealed class GrpcProgramsTests : ClientTest
{
    /// <summary>A name is the key, or the prefix, of its records; none is a count of 0 and no error.</summary>
    [Fact]
    public async Task CoreDns_finds_records_by_name_and_by_prefix()
    {
        Assert.Equal(0, (await Etcd.RangeAsync(new RangeRequest { Key = Say.Bytes("/skydns/local/x") })).Count);
        await Etcd.PutAsync(Say.PutOf("/skydns/local/x/1", "{}"));
        await Etcd.PutAsync(Say.PutOf("/skydns/local/x/2", "{}"));
        Assert.Equal(0, (await Etcd.RangeAsync(new RangeRequest { Key = Say.Bytes("/skydns/local/x") })).Count);
        Assert.Equal(["/skydns/local/x/1", "/skydns/local/x/2"], (await Etcd.RangeAsync(EtcdCalls.Prefix("/skydns/local/x/"))).Kvs.Select(kv => kv.Key.ToStringUtf8()));
    }

    /// <summary>Reads its configuration whole and again with each change below it.</summary>
    [Fact]
    public async Task Traefik_lists_and_watches_a_tree()
    {
        await Etcd.PutAsync(Say.PutOf("traefik/http/routers/a/rule", "Host(`a`)"));
        Assert.Equal(1, (await Etcd.RangeAsync(new RangeRequest { Key = Say.Bytes("traefik/http/routers/a/rule"), CountOnly = true })).Count);
        using GrpcStream watch = await Etcd.WatchAsync(new WatchCreateRequest { Key = Say.Bytes("traefik"), RangeEnd = EtcdCalls.EndOf("traefik") });
        await Etcd.PutAsync(Say.PutOf("other", "x"));
        await Etcd.PutAsync(Say.PutOf("traefik/http/routers/b/rule", "Host(`b`)"));
        WatchResponse told = (await watch.HearAsync(WatchResponse.Parser))!;
        Assert.Equal("traefik/http/routers/b/rule", Assert.Single(told.Events).Kv.Key.ToStringUtf8());
        Assert.Equal(2, (await Etcd.RangeAsync(EtcdCalls.Prefix("traefik"))).Kvs.Count);
    }

    /// <summary>Files have versions; a lock is a key of a lease, and whoever is next waits for the one before it (concurrency.Mutex).</summary>
    [Fact]
    public async Task Vitess_keeps_files_and_takes_locks()
    {
        TxnResponse created = await Etcd.TxnAsync(EtcdCalls.Where("/vt/cell", CompareTarget.Version, 0), Say.Op(Say.PutOf("/vt/cell", "1")));
        Assert.True(created.Succeeded);
        Assert.False((await Etcd.TxnAsync(EtcdCalls.Where("/vt/cell", CompareTarget.Version, 0), Say.Op(Say.PutOf("/vt/cell", "2")))).Succeeded);
        Assert.True((await Etcd.TxnAsync(EtcdCalls.Where("/vt/cell", CompareTarget.Mod, created.Header.Revision), Say.Op(Say.PutOf("/vt/cell", "2")))).Succeeded);

        long lease = await Etcd.GrantAsync(30);
        long mine = (await Etcd.PutAsync(Say.PutOf("/vt/lock/1", "me", lease))).Header.Revision;
        long other = await Etcd.GrantAsync(30);
        long theirs = (await Etcd.PutAsync(Say.PutOf("/vt/lock/2", "other", other))).Header.Revision;
        Assert.Empty((await LastBeforeAsync(mine)).Kvs);
        RangeResponse before = await LastBeforeAsync(theirs);
        Assert.Equal(("/vt/lock/1", mine), (before.Kvs[0].Key.ToStringUtf8(), before.Kvs[0].ModRevision));

        using GrpcStream watch = await Etcd.WatchAsync(new WatchCreateRequest { Key = before.Kvs[0].Key, StartRevision = before.Header.Revision });
        Assert.Equal(30, await Etcd.KeepAliveOnceAsync(lease));
        await Etcd.RevokeAsync(lease);
        WatchResponse told = (await watch.HearAsync(WatchResponse.Parser))!;
        Assert.Equal(Event.Types.EventType.Delete, Assert.Single(told.Events).Type);
        Assert.Empty((await LastBeforeAsync(theirs)).Kvs);
        Assert.Equal(0, await Etcd.KeepAliveOnceAsync(lease));
    }

    /// <summary>Versions are those of the keys: of what was there before a put, and as the condition of the next.</summary>
    [Fact]
    public async Task M3_goes_by_versions_and_hears_that_it_is_up_to_date()
    {
        PutResponse first = await Etcd.PutAsync(new PutRequest { Key = Say.Bytes("_kv/m3"), Value = Say.Bytes("1"), PrevKv = true });
        PutResponse second = await Etcd.PutAsync(new PutRequest { Key = Say.Bytes("_kv/m3"), Value = Say.Bytes("2"), PrevKv = true });
        Assert.Equal((null, 1), (first.PrevKv, second.PrevKv.Version));
        Assert.True((await Etcd.TxnAsync(EtcdCalls.Where("_kv/m3", CompareTarget.Version, 2), Say.Op(Say.PutOf("_kv/m3", "3")))).Succeeded);
        Assert.False((await Etcd.TxnAsync(EtcdCalls.Where("_kv/m3", CompareTarget.Version, 2), Say.Op(Say.PutOf("_kv/m3", "4")))).Succeeded);

        using GrpcStream watch = await Etcd.WatchAsync(new WatchCreateRequest { Key = Say.Bytes("_kv/m3"), ProgressNotify = true });
        DeleteRangeResponse deleted = await Etcd.DeleteAsync(new DeleteRangeRequest { Key = Say.Bytes("_kv/m3"), PrevKv = true });
        Assert.Equal("3", Assert.Single(deleted.PrevKvs).Value.ToStringUtf8());
        Assert.Equal(deleted.Header.Revision, (await watch.HearAsync(WatchResponse.Parser))!.Header.Revision);
    }

    /// <summary>The newest key of the locks before a revision: WithLastRev and WithMaxModRev.</summary>
    private Task<RangeResponse> LastBeforeAsync(long revision)
    {
        RangeRequest last = EtcdCalls.Prefix("/vt/lock/");
        (last.SortTarget, last.SortOrder, last.Limit) = (RangeRequest.Types.SortTarget.Mod, RangeRequest.Types.SortOrder.Descend, 1);
        last.MaxModRevision = revision - 1;
        return Etcd.RangeAsync(last);
    }
}
