using System.Text;
using MetaStore.Engine;
using MetaStore.Server.Output;

namespace MetaStore.Server.Tests;

/// <summary>The formats to the byte: scripts read them.</summary>
public sealed class OutputTests
{
    private static readonly ResponseHeader s_header = new(0x1122334455667788, 0xffeeddccbbaa9988, new Revision(5), 2);
    private static readonly KeyValue s_foo = Pair("foo", "bar\n"u8.ToArray(), 0);
    private static readonly KeyValue s_binary = Pair("bin", [0xff, 0x00, 0x5c, 0x09], 0x1f);

    [Fact]
    public void Simple_prints_bytes_as_they_are()
    {
        var printer = new SimplePrinter();
        printer.Get(new RangeResponse { Header = s_header, Items = [s_binary], Count = 1 }, default);
        Assert.Equal([.. "bin\n"u8, 0xff, 0x00, 0x5c, 0x09, (byte)'\n'], printer.Finish().ToArray());
    }

    [Fact]
    public void A_watch_is_printed_as_etcdctl_prints_it()
    {
        var gone = new KeyValue("foo"u8.ToArray(), default, default, new Revision(6), 0, 0);
        WatchEvent put = new() { Type = WatchEventType.Put, KeyValue = s_foo };
        WatchEvent removed = new() { Type = WatchEventType.Delete, KeyValue = gone, Previous = s_foo };
        var told = new WatchResponse { Header = s_header, Events = [put, removed] };
        AssertPrinted(new SimplePrinter(), "PUT\nfoo\nbar\n\nDELETE\nfoo\nbar\n\nfoo\n\n", p => p.Watch(told));
        AssertPrinted(new SimplePrinter(), "progress notify: 5\n", p => p.Watch(new WatchResponse { Header = s_header, IsProgress = true }));
        string header = "{\"Header\":{\"cluster_id\":1234605616436508552,\"member_id\":18441921395520346504,\"revision\":5,\"raft_term\":2},";
        AssertPrinted(new JsonPrinter(), header + "\"Events\":null,\"CompactRevision\":0,\"Canceled\":false,\"Created\":false}\n", p => p.Watch(told with { Events = [] }));
        AssertPrinted(
            new JsonPrinter(),
            header + "\"Events\":[{\"type\":1,\"kv\":{\"key\":\"Zm9v\",\"mod_revision\":6},\"prev_kv\":{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":4,\"version\":3,\"value\":\"YmFyCg==\"}}],\"CompactRevision\":0,\"Canceled\":false,\"Created\":false}\n",
            p => p.Watch(told with { Events = [removed] }));
    }

    [Fact]
    public void Simple_is_as_etcdctl_prints()
    {
        AssertPrinted(new SimplePrinter(), "OK\n", p => p.Put(new PutResponse { Header = s_header }));
        AssertPrinted(new SimplePrinter(), "OK\nfoo\nbar\n\n", p => p.Put(new PutResponse { Header = s_header, Previous = s_foo }));
        AssertPrinted(new SimplePrinter(), "1\nfoo\nbar\n\n", p => p.Delete(new DeleteRangeResponse { Header = s_header, Deleted = 1, Previous = [s_foo] }));
        AssertPrinted(new SimplePrinter(), "bar\n\n", p => p.Get(new RangeResponse { Items = [s_foo], Count = 1 }, new GetView(false, ValueOnly: true)));
        AssertPrinted(new SimplePrinter(), "7\n", p => p.Get(new RangeResponse { Count = 7 }, new GetView(CountOnly: true, false)));
        AssertPrinted(new SimplePrinter(), "compacted revision 3\n", p => p.Compact(new Revision(3), new CompactResponse()));
        AssertPrinted(new SimplePrinter(), "FAILURE\n\nOK\n\nfoo\nbar\n\n\n2\n", p => p.Txn(Txn(succeeded: false)));
        AssertPrinted(new SimplePrinter(), "h:1, ffeeddccbbaa9988, n, 1.2.3, 67 MB, false, 2, 9, 8, 5, 4, yes\n", p => p.Status([new("h:1", Status())]));
        AssertPrinted(new SimplePrinter(), "h:1, ffeeddccbbaa9988, n, 1.2.3, 67 MB, false, 2, 9, 8, 5, 4, no: witness\n", p => p.Status([new("h:1", Status() with { IsWitness = true })]));
        AssertPrinted(
            new SimplePrinter(),
            """
            0000000000000001, started, a, http://a:2380, http://a:2379, false, false, 0
            000000000000000b, unstarted, , http://b:2380, , true, true, -

            """,
            p => p.Members(Members()));
        AssertPrinted(new SimplePrinter(), "h:1, 77, 5, 3\n", p => p.Hash([new("h:1", Hash())]));
    }

    [Fact]
    public void Json_is_as_etcdctl_prints()
    {
        const string Header = "\"header\":{\"cluster_id\":1234605616436508552,\"member_id\":18441921395520346504,\"revision\":5,\"raft_term\":2}";
        const string Foo = "{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":4,\"version\":3,\"value\":\"YmFyCg==\"}";
        const string Binary = "{\"key\":\"Ymlu\",\"create_revision\":2,\"mod_revision\":4,\"version\":3,\"value\":\"/wBcCQ==\",\"lease\":31}";
        AssertPrinted(new JsonPrinter(), $"{{{Header}}}\n", p => p.Put(new PutResponse { Header = s_header }));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"prev_kv\":{Foo}}}\n", p => p.Put(new PutResponse { Header = s_header, Previous = s_foo }));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"kvs\":[{Foo},{Binary}],\"more\":true,\"count\":9}}\n", p => p.Get(new RangeResponse { Header = s_header, Items = [s_foo, s_binary], More = true, Count = 9 }, default));
        AssertPrinted(new JsonPrinter(), $"{{{Header}}}\n", p => p.Get(new RangeResponse { Header = s_header }, default));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"deleted\":1,\"prev_kvs\":[{Foo}]}}\n", p => p.Delete(new DeleteRangeResponse { Header = s_header, Deleted = 1, Previous = [s_foo] }));
        AssertPrinted(
            new JsonPrinter(),
            $"{{{Header},\"succeeded\":true,\"responses\":[{{\"Response\":{{\"response_put\":{{\"header\":{{\"revision\":5}}}}}}}},{{\"Response\":{{\"response_range\":{{\"header\":{{\"revision\":5}},\"kvs\":[{Foo}],\"count\":1}}}}}},{{\"Response\":{{\"response_delete_range\":{{\"header\":{{\"revision\":5}},\"deleted\":2}}}}}}]}}\n",
            p => p.Txn(Txn(succeeded: true)));
        AssertPrinted(
            new JsonPrinter(),
            $"{{{Header},\"members\":[{{\"ID\":1,\"name\":\"a\",\"peerURLs\":[\"http://a:2380\"],\"clientURLs\":[\"http://a:2379\"],\"priority\":0}},"
                + "{\"ID\":11,\"name\":\"\",\"peerURLs\":[\"http://b:2380\"],\"clientURLs\":[],\"isLearner\":true,\"isWitness\":true}]}\n",
            p => p.Members(Members()));
        AssertPrinted(new JsonPrinter(), $"[{{\"Endpoint\":\"h:1\",\"HashKV\":{{{Header},\"hash\":77,\"compact_revision\":3,\"hash_revision\":5}}}}]\n", p => p.Hash([new("h:1", Hash())]));
    }

    [Fact]
    public void Leases_are_as_etcdctl_prints()
    {
        var granted = new LeaseGrantResponse { Header = s_header, Id = 0x1f, Ttl = 10 };
        var renewed = new LeaseKeepAliveResponse { Header = s_header, Id = 0x1f, Ttl = 10 };
        var left = new LeaseTimeToLiveResponse { Header = s_header, Id = 0x1f, Ttl = 9, GrantedTtl = 10, Keys = ["foo"u8.ToArray(), "b\n"u8.ToArray()] };
        var gone = new LeaseTimeToLiveResponse { Header = s_header, Id = 0x1f, Ttl = -1 };
        var all = new LeasesResponse { Header = s_header, Ids = [0x1f, 0x20] };
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f granted with TTL(10s)\n", p => p.LeaseGranted(granted));
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f revoked\n", p => p.LeaseRevoked(0x1f, new LeaseRevokeResponse { Header = s_header }));
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f keepalived with TTL(10)\n", p => p.LeaseKeptAlive(renewed));
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f expired or revoked.\n", p => p.LeaseKeptAlive(renewed with { Ttl = 0 }));
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f granted with TTL(10s), remaining(9s)\n", p => p.LeaseTimeToLive(left, withKeys: false));
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f granted with TTL(10s), remaining(9s), attached keys([foo b\\n])\n", p => p.LeaseTimeToLive(left, withKeys: true));
        AssertPrinted(new SimplePrinter(), "lease 000000000000001f already expired\n", p => p.LeaseTimeToLive(gone, withKeys: true));
        AssertPrinted(new SimplePrinter(), "found 2 leases\n000000000000001f\n0000000000000020\n", p => p.Leases(all));
        const string Header = "\"cluster_id\":1234605616436508552,\"member_id\":18441921395520346504,\"revision\":5,\"raft_term\":2";
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"ID\":31,\"TTL\":10}}\n", p => p.LeaseGranted(granted));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"ID\":31,\"TTL\":10}}\n", p => p.LeaseKeptAlive(renewed));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"id\":31,\"ttl\":9,\"granted-ttl\":10,\"keys\":[\"Zm9v\",\"Ygo=\"]}}\n", p => p.LeaseTimeToLive(left, withKeys: true));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"id\":31,\"ttl\":-1,\"granted-ttl\":0}}\n", p => p.LeaseTimeToLive(gone, withKeys: false));
        AssertPrinted(new JsonPrinter(), $"{{{Header},\"leases\":[{{\"id\":31}},{{\"id\":32}}]}}\n", p => p.Leases(all));
        AssertPrinted(
            new TablePrinter(),
            """
            +------------------+-------------+-----------+
            |      LEASE       | GRANTED TTL | REMAINING |
            +------------------+-------------+-----------+
            | 000000000000001f |          10 |         9 |
            +------------------+-------------+-----------+

            """,
            p => p.LeaseTimeToLive(left, withKeys: false));
    }

    [Fact]
    public void A_table_stays_a_table_whatever_the_bytes()
    {
        AssertPrinted(
            new TablePrinter(),
            """
            +-----+--------------+------------+---------+---------+------------------+
            | KEY |    VALUE     | CREATE REV | MOD REV | VERSION |      LEASE       |
            +-----+--------------+------------+---------+---------+------------------+
            | foo | bar\n        |          2 |       4 |       3 |                  |
            | bin | \xff\x00\\\t |          2 |       4 |       3 | 000000000000001f |
            +-----+--------------+------------+---------+---------+------------------+

            """,
            p => p.Get(new RangeResponse { Items = [s_foo, s_binary], Count = 2 }, default));
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "1.0 kB")]
    [InlineData(67108864, "67 MB")]
    [InlineData(999_600_000, "1.0 GB")]
    public void Sizes_are_for_people(long bytes, string expected) => Assert.Equal(expected, NodeRows.Size(bytes));

    private static void AssertPrinted(IAnswerPrinter printer, string expected, Action<IAnswerPrinter> print)
    {
        print(printer);
        Assert.Equal(expected, Encoding.UTF8.GetString(printer.Finish().Span));
    }

    private static KeyValue Pair(string key, byte[] value, long lease) =>
        new(Encoding.UTF8.GetBytes(key), value, new Revision(2), new Revision(4), 3, lease);

    private static TxnResponse Txn(bool succeeded)
    {
        var inner = new ResponseHeader(0, 0, new Revision(5), 0);
        return new TxnResponse
        {
            Header = s_header,
            Succeeded = succeeded,
            Responses =
            [
                new PutResponse { Header = inner },
                new RangeResponse { Header = inner, Items = [s_foo], Count = 1 },
                new DeleteRangeResponse { Header = inner, Deleted = 2 },
            ],
        };
    }

    private static StatusResponse Status() => new()
    {
        Header = s_header,
        Version = "1.2.3",
        Name = "n",
        LeaderId = 1,
        LastIndex = 9,
        AppliedIndex = 8,
        CommitIndex = 8,
        KeyCount = 4,
        DiskBytes = 64 << 20,
    };

    private static MembersResponse Members() => new()
    {
        Header = s_header,
        Members =
        [
            new Member(1, "a", ["http://a:2380"], ["http://a:2379"], DirectoryId: 1, Priority: 0),
            new Member(11, "", ["http://b:2380"], [], IsLearner: true, IsWitness: true),
        ],
    };

    private static HashResponse Hash() => new() { Header = s_header, Hash = 77, HashRevision = new Revision(5), CompactRevision = new Revision(3) };
}
