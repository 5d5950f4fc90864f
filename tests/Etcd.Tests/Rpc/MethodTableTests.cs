using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Tests.Rpc;

public class MethodTableTests
{
    [Fact]
    public void AMethodIsFoundByItsWholePath_AndByNothingElse()
    {
        RpcMethod range = RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse()));
        var table = new MethodTable([range]);

        Assert.Same(range, table.Find("/etcdserverpb.KV/Range"));
        Assert.Null(table.Find("/etcdserverpb.KV/range"));
        Assert.Null(table.Find("/etcdserverpb.KV/Range/"));
    }
}
