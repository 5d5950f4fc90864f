using MetaStore.Server.Serving;

namespace MetaStore.Server.Tests;

public sealed class ClusterIdTests
{
    private const string Token = "t";

    private static readonly IReadOnlyList<MemberAddress> s_members =
        InitialCluster.Parse("n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://n3.example:2380");

    [Fact]
    public void Ids_are_those_they_always_were()
    {
        // Golden: data directories and clusters in the world hold these.
        Assert.Equal(0x770592dcb9d4fb45UL, ClusterIds.OfCluster("metastore-cluster", InitialCluster.Parse("a=http://127.0.0.1:2380")));
        Assert.Equal(0xccff3ec622d976c9UL, ClusterIds.OfNode("metastore-cluster", InitialCluster.Parse("a=http://127.0.0.1:2380")[0]).Value);
    }

    [Fact]
    public void The_order_of_the_list_does_not_matter()
    {
        Assert.Equal(ClusterIds.OfCluster(Token, s_members), ClusterIds.OfCluster(Token, s_members.Reverse()));
    }

    [Fact]
    public void Token_names_and_urls_all_matter()
    {
        ulong[] ids =
        [
            ClusterIds.OfCluster(Token, s_members),
            ClusterIds.OfCluster("t2", s_members),
            ClusterIds.OfCluster(Token, s_members.Take(2)),
            ClusterIds.OfCluster(Token, InitialCluster.Parse("n1=http://10.0.0.1:2381,n2=http://10.0.0.2:2380,n3=http://n3.example:2380")),
            ClusterIds.OfCluster(Token, InitialCluster.Parse("n0=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://n3.example:2380")),
            .. s_members.Select(member => ClusterIds.OfNode(Token, member).Value),
            ClusterIds.OfNode("t2", s_members[0]).Value,
        ];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.DoesNotContain(0UL, ids);
    }

    [Fact]
    public void Names_and_urls_do_not_run_together()
    {
        HttpUrl url = HttpUrl.Parse("--x", "http://h:1");
        Assert.NotEqual(ClusterIds.OfNode("ab", new MemberAddress("c", url)), ClusterIds.OfNode("a", new MemberAddress("bc", url)));
    }
}
