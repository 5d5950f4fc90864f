namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>
/// The same requests to a real etcd and to this store, both as processes with the same flags: the answers must be equal, after taking out ids, terms and times. The
/// requests are scripts in testdata, and so is what may differ.
/// </summary>
public sealed class TwinTests
{
    [SkippableTheory]
    [InlineData("etcdctl.txt", 1)]
    [InlineData("etcdctl-cluster.txt", 1)]
    [InlineData("etcdctl-three.txt", 3)]
    [InlineData("gateway.txt", 1)]
    public async Task Etcd_and_this_store_answer_alike(string script, int members)
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync(members);
        await twins.CompareAsync(script);
    }
}
