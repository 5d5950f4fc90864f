using MetaStore.Engine.Replication;
using MetaStore.Server.Serving;

namespace MetaStore.Server.Tests;

public sealed class ServeOptionsTests
{
    [Fact]
    public void Without_flags_it_is_a_single_node_that_others_may_join()
    {
        ServeOptions options = ServeOptions.From(new ServeFlagValues());
        Assert.Equal("default.metastore", options.Node.DataDirectory);
        Assert.Equal("http://127.0.0.1:2379", Assert.Single(options.ListenClientUrls).ToString());
        Assert.Equal("http://127.0.0.1:2380", options.ListenPeerUrl.ToString());
        Assert.Equal("http://127.0.0.1:2380", Assert.Single(Assert.Single(options.Node.Members).PeerUrls));
        Assert.Equal(options.Node.NodeId.Value, options.Node.Members[0].Id);
        options.Node.Validate();
    }

    [Fact]
    public void The_address_it_listens_on_does_not_change_who_it_is()
    {
        ServeOptions here = ServeOptions.From(new ServeFlagValues());
        ServeOptions there = ServeOptions.From(new ServeFlagValues { ListenClientUrls = "http://0.0.0.0:1", ListenPeerUrls = "http://0.0.0.0:2" });
        Assert.Equal(here.Node.ClusterId, there.Node.ClusterId);
        Assert.Equal(here.Node.NodeId, there.Node.NodeId);
    }

    [Fact]
    public void All_members_agree_on_all_ids()
    {
        const string Cluster = "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380";
        ServeOptions first = ServeOptions.From(new ServeFlagValues { Name = "n1", InitialCluster = Cluster, ListenPeerUrls = "http://0.0.0.0:2380" });
        ServeOptions second = ServeOptions.From(new ServeFlagValues { Name = "n2", InitialCluster = "n2=http://10.0.0.2:2380, n1=http://10.0.0.1:2380/" });
        Assert.Equal(first.Node.ClusterId, second.Node.ClusterId);
        Assert.Equal(first.Node.Members.OrderBy(m => m.Name), second.Node.Members.OrderBy(m => m.Name));
        Assert.NotEqual(first.Node.NodeId, second.Node.NodeId);
        Assert.Equal("http://0.0.0.0:2380", first.ListenPeerUrl.ToString());
    }

    [Fact]
    public void The_flags_reach_the_node()
    {
        ServeOptions options = ServeOptions.From(new ServeFlagValues
        {
            SnapshotCount = 7,
            HeartbeatMilliseconds = 3,
            ElectionMilliseconds = 15,
            Profile = BatchProfile.HighThroughput,
            Seed = 5,
            DataDirectory = "d",
            TxnOperationsMax = 9,
            RequestBytesMax = 4096,
            LearnersMax = 3,
            ProgressInterval = TimeSpan.FromSeconds(4),
            StreamsPerConnectionMax = 6,
            ClockDriftPercent = 30,
            PingInterval = TimeSpan.FromMinutes(5),
            PingTimeout = TimeSpan.Zero,
            Metrics = MetricsScope.Extensive,
        });
        Assert.Equal((9, 4096), (options.Node.Limits.TxnOperationsMax, options.Node.Limits.RequestBytesMax));
        Assert.Equal((3, TimeSpan.FromSeconds(4)), (options.Node.LearnersMax, options.Node.Watches.ProgressInterval));
        Assert.Equal((6, TimeSpan.FromMinutes(5), TimeSpan.MaxValue), (options.Etcd.StreamsPerConnectionMax, options.Etcd.PingInterval, options.Etcd.PingTimeout));
        Assert.True(options.Etcd.MeasuresCalls);
        Assert.Equal(7, options.Node.Snapshots.EntriesMin);
        Assert.Equal(TimeSpan.FromMilliseconds(3), options.Node.HeartbeatInterval);
        Assert.Equal((TimeSpan.FromMilliseconds(15), 0.3), (options.Node.ElectionTimeout, options.Node.ClockDriftMax));
        Assert.Same(ProposerOptions.HighThroughput, options.Node.Proposer);
        Assert.Equal(5UL, options.Node.Seed);
    }

    [Theory]
    [InlineData("n1=http://h:1,n2=http://h:2", "does not include this node")]
    [InlineData("default=http://h:1,default=http://h:2", "stands there twice")]
    [InlineData("default=http://h:1,n2=http://h:1", "same peer url")]
    [InlineData("default", "not understood")]
    [InlineData("default=h:1", "not understood")]
    [InlineData("default=https://h:1", "TLS")]
    [InlineData("default=http://h", "not understood")]
    [InlineData("default=http://h:99999", "not understood")]
    [InlineData("default=http://[::1:1", "not understood")]
    [InlineData(",", "empty")]
    public void A_wrong_member_list_is_refused_by_name(string cluster, string expected)
    {
        RefusalException refusal = Assert.Throws<RefusalException>(() => ServeOptions.From(new ServeFlagValues { InitialCluster = cluster }));
        Assert.Equal(ExitCode.Usage, refusal.ExitCode);
        Assert.StartsWith("--initial-cluster", refusal.Message);
        Assert.Contains(expected, refusal.Message);
    }

    [Fact]
    public void Other_wrong_values_are_refused_by_name()
    {
        AssertRefused("--name", new ServeFlagValues { Name = "a=b" });
        AssertRefused("--listen-client-urls", new ServeFlagValues { ListenClientUrls = "127.0.0.1:2379" });
        AssertRefused("--listen-client-urls", new ServeFlagValues { ListenClientUrls = "http://db.example:2379" });
        AssertRefused("--listen-peer-urls", new ServeFlagValues { ListenPeerUrls = "http://127.0.0.1:1,http://127.0.0.1:2" });
        AssertRefused("--listen-metrics-urls", new ServeFlagValues { ListenMetricsUrls = "http://db.example:2381" });
        AssertRefused("--election-timeout", new ServeFlagValues { ElectionMilliseconds = 499 });
        AssertRefused("--initial-advertise-peer-urls", new ServeFlagValues { InitialCluster = "default=http://h:1", AdvertisePeerUrls = "http://h:2" });
    }

    [Fact]
    public void Urls_may_be_of_either_family()
    {
        HttpUrl url = HttpUrl.Parse("--x", "http://[::1]:80/");
        Assert.Equal("http://[::1]:80", url.ToString());
        Assert.Equal("[::1]:80", url.ToListenEndPoint("--x").ToString());
        Assert.Equal("127.0.0.1:80", HttpUrl.Parse("--x", "http://localhost:80").ToListenEndPoint("--x").ToString());
    }

    private static void AssertRefused(string flag, ServeFlagValues values)
    {
        RefusalException refusal = Assert.Throws<RefusalException>(() => ServeOptions.From(values));
        Assert.Equal(ExitCode.Usage, refusal.ExitCode);
        Assert.StartsWith(flag, refusal.Message);
    }
}
