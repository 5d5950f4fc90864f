using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Snapshots;
using MetaStore.Server.Output;

namespace MetaStore.Server.Tests;

/// <summary>The formats to the byte: scripts read them.</summary>
public sealed class OutputTests
{
    private static readonly ResponseHeader s_header = new(0x1122334455667788, 0xffeeddccbbaa9988, new Revision(5), 2);
    private static readonly SavedSnapshot s_snapshot = new() { Hash = 255, Revision = new Revision(7), CompactRevision = new Revision(2), KeyCount = 3, FileBytes = 2048 };
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
    public void Fields_are_as_etcdctl_prints()
    {
        const string Header = "\"ClusterID\" : 1234605616436508552\n\"MemberID\" : 18441921395520346504\n\"Revision\" : 5\n\"RaftTerm\" : 2\n";
        const string Foo = "\"Key\" : \"foo\"\n\"CreateRevision\" : 2\n\"ModRevision\" : 4\n\"Version\" : 3\n\"Value\" : \"bar\\n\"\n\"Lease\" : 0\n";
        AssertPrinted(new FieldsPrinter(), $"{Header}{Foo}\"More\" : true\n\"Count\" : 9\n", p => p.Get(new RangeResponse { Header = s_header, Items = [s_foo], More = true, Count = 9 }, default));
        AssertPrinted(new FieldsPrinter(), Header + Foo.Replace("\n\"", "\n\"Prev", StringComparison.Ordinal).Insert(1, "Prev"), p => p.Put(new PutResponse { Header = s_header, Previous = s_foo }));
        AssertPrinted(new FieldsPrinter(), $"{Header}\"Deleted\" : 2\n", p => p.Delete(new DeleteRangeResponse { Header = s_header, Deleted = 2 }));
        AssertPrinted(new FieldsPrinter(), $"{Header}\"ID\" : 31\n\"TTL\" : 10\n", p => p.LeaseGranted(new LeaseGrantResponse { Header = s_header, Id = 0x1f, Ttl = 10 }));
        AssertPrinted(
            new FieldsPrinter(),
            $"{Header}\"Version\" : \"1.2.3\"\n\"DBSize\" : 67108864\n\"Leader\" : 1\n\"IsLearner\" : false\n\"RaftIndex\" : 9\n\"RaftTerm\" : 2\n\"RaftAppliedIndex\" : 8\n\"Errors\" : []\n\"Endpoint\" : \"h:1\"\n\n",
            p => p.EndpointStatus([new("h:1", Status())]));
        AssertPrinted(new FieldsPrinter(), $"{Header}\"Endpoint\" : \"h:1\"\n\"Hash\" : 77\n\n", p => p.EndpointHash([new("h:1", Hash())]));
        AssertPrinted(new FieldsPrinter(), "\"Hash\" : 255\n\"Revision\" : 7\n\"Keys\" : 3\n\"Size\" : 2048\n", p => p.SnapshotStatus(s_snapshot));
    }

    [Fact]
    public void Endpoints_and_snapshots_are_as_etcdctl_prints()
    {
        EndpointHealth well = new("h:1", TimeSpan.FromMicroseconds(1234.5), null);
        EndpointHealth ill = new("h:2", TimeSpan.FromSeconds(5), "gone");
        AssertPrinted(new SimplePrinter(), "h:1 is healthy: successfully committed proposal: took = 1.2345ms\n", p => p.EndpointHealth([well, ill]));
        AssertPrinted(new JsonPrinter(), "[{\"endpoint\":\"h:1\",\"health\":true,\"took\":\"1.2345ms\"},{\"endpoint\":\"h:2\",\"health\":false,\"took\":\"5s\",\"error\":\"gone\"}]\n", p => p.EndpointHealth([well, ill]));
        AssertPrinted(new FieldsPrinter(), "\"Endpoint\" : \"h:2\"\n\"Health\" : false\n\"Took\" : 5s\n\"Error\" : gone\n\n", p => p.EndpointHealth([ill]));
        AssertPrinted(
            new TablePrinter(),
            """
            +----------+--------+------+-------+
            | ENDPOINT | HEALTH | TOOK | ERROR |
            +----------+--------+------+-------+
            | h:2      | false  | 5s   | gone  |
            +----------+--------+------+-------+

            """,
            p => p.EndpointHealth([ill]));
        AssertPrinted(new SimplePrinter(), "h:1, ffeeddccbbaa9988, 1.2.3, 67 MB, false, false, 2, 9, 8, \n", p => p.EndpointStatus([new("h:1", Status())]));
        AssertPrinted(new SimplePrinter(), "h:1, ffeeddccbbaa9988, 1.2.3, 67 MB, false, false, 2, 9, 8, no leader\n", p => p.EndpointStatus([new("h:1", Status() with { LeaderId = 0 })]));
        AssertPrinted(new SimplePrinter(), "h:1, 77\n", p => p.EndpointHash([new("h:1", Hash())]));
        AssertPrinted(new SimplePrinter(), "ff, 7, 3, 2.0 kB\n", p => p.SnapshotStatus(s_snapshot));
        AssertPrinted(new JsonPrinter(), "{\"hash\":255,\"revision\":7,\"totalKey\":3,\"totalSize\":2048}\n", p => p.SnapshotStatus(s_snapshot));
    }

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(0.0001, "100ns")]
    [InlineData(0.0123, "12.3µs")]
    [InlineData(1.5, "1.5ms")]
    [InlineData(2500, "2.5s")]
    public void Times_have_their_unit(double milliseconds, string expected) => Assert.Equal(expected, GoText.Duration(TimeSpan.FromMicroseconds(milliseconds * 1000)));

    [Fact]
    public void What_is_quoted_stays_on_its_line()
    {
        Assert.Equal("\"a \\\"b\\\" \\\\ \\a\\b\\f\\n\\r\\t\\v\"", GoText.Quote("a \"b\" \\ \a\b\f\n\r\t\v"));
        Assert.Equal("\"\\x00\\x1f\\x7f\\xff\\xfeé\\u00a0\\U000e0001\"", GoText.Quote([0, 0x1f, 0x7f, 0xff, 0xfe, .. "é\u00a0\U000e0001"u8]));
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
        StoreBytes = 64 << 20,
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
