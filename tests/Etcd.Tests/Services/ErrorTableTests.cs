using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>What fails, fails with etcd's code and etcd's words, to the letter, by gRPC as by JSON.</summary>
public sealed class ErrorTableTests
{
    /// <summary>Every error that the store has. Where etcd has none like it, the text is the store's own.</summary>
    public static TheoryData<MetaStoreError, int, string> StoreErrors => new()
    {
        { MetaStoreError.InvalidArgument, 3, "etcdserver: said" },
        { MetaStoreError.EmptyKey, 3, "etcdserver: key is not provided" },
        { MetaStoreError.KeyNotFound, 3, "etcdserver: key not found" },
        { MetaStoreError.ValueProvided, 3, "etcdserver: value is provided" },
        { MetaStoreError.LeaseProvided, 3, "etcdserver: lease is provided" },
        { MetaStoreError.LeaseNotFound, 5, "etcdserver: requested lease not found" },
        { MetaStoreError.Compacted, 11, "etcdserver: mvcc: required revision has been compacted" },
        { MetaStoreError.FutureRevision, 11, "etcdserver: mvcc: required revision is a future revision" },
        { MetaStoreError.TooManyOperations, 3, "etcdserver: too many operations in txn request" },
        { MetaStoreError.DuplicateKey, 3, "etcdserver: duplicate key given in txn request" },
        { MetaStoreError.InvalidSortOption, 3, "etcdserver: invalid sort option" },
        { MetaStoreError.RequestTooLarge, 3, "etcdserver: request is too large" },
        { MetaStoreError.Busy, 8, "etcdserver: too many requests" },
        { MetaStoreError.NoLeader, 14, "etcdserver: no leader" },
        { MetaStoreError.Timeout, 14, "etcdserver: request timed out" },
        { MetaStoreError.Stopped, 14, "etcdserver: server stopped" },
        { MetaStoreError.NodeFailed, 14, "etcdserver: server stopped" },
        { MetaStoreError.ConnectionLost, 14, "etcdserver: request timed out, possibly due to connection lost" },
        { MetaStoreError.ClusterMismatch, 9, "etcdserver: cluster ID mismatch" },
        { MetaStoreError.Protocol, 2, "etcdserver: said" },
        { MetaStoreError.ResponseTooLarge, 8, "said" },
        { MetaStoreError.MemberNotFound, 5, "etcdserver: member not found" },
        { MetaStoreError.PeerUrlsExist, 9, "etcdserver: Peer URLs already exists" },
        { MetaStoreError.MemberNotLearner, 9, "etcdserver: can only promote a learner member" },
        { MetaStoreError.LearnerNotReady, 9, "etcdserver: can only promote a learner member which is in sync with leader" },
        { MetaStoreError.UnhealthyCluster, 14, "etcdserver: unhealthy cluster" },
        { MetaStoreError.TooManyLearners, 9, "etcdserver: too many learner members in cluster" },
        { MetaStoreError.NotEnoughStarted, 9, "etcdserver: re-configuration failed due to not enough started members" },
        { MetaStoreError.BadTransferee, 9, "etcdserver: bad leader transferee" },
        { MetaStoreError.SessionNotFound, 2, "etcdserver: said" },
        { MetaStoreError.SessionSequenceTooOld, 2, "etcdserver: said" },
        { MetaStoreError.SessionFull, 2, "etcdserver: said" },
        { MetaStoreError.AnswerNotKept, 2, "etcdserver: said" },
        { MetaStoreError.WitnessMember, 9, "etcdserver: rpc not supported for learner" },
        { MetaStoreError.TooManyWitnesses, 9, "etcdserver: said" },
        { MetaStoreError.LeaseExists, 9, "etcdserver: lease already exists" },
        { MetaStoreError.LeaseTtlTooLarge, 11, "etcdserver: too large lease TTL" },
    };

    [Theory]
    [MemberData(nameof(StoreErrors))]
    public void Every_error_of_the_store_has_its_code_and_text(MetaStoreError error, int code, string text)
    {
        RpcException e = EtcdErrors.From(new MetaStoreException(error, "said"));
        Assert.Equal(((StatusCode)code, text), (e.Code, e.Message));
    }

    [Fact]
    public void No_error_of_the_store_is_missing_above()
    {
        Assert.Equal(Enum.GetValues<MetaStoreError>(), StoreErrors.Select(row => (MetaStoreError)((object[])row)[0]).Order());
    }

    [Fact]
    public async Task What_a_caller_can_bring_about_fails_in_etcds_words()
    {
        await using var node = new EtcdNode();
        await using AllFronts fronts = await AllFronts.OverAsync(node);
        await node.CallAsync<Messages.PutResponse>(Say.Put, Say.PutOf("a", "1"));
        await node.CallAsync<Messages.PutResponse>(Say.Put, Say.PutOf("a", "2"));
        await node.CallAsync<Messages.LeaseGrantResponse>(Say.Grant, new Messages.LeaseGrantRequest { ID = 9, TTL = 100 });
        await node.CallAsync<Messages.CompactionResponse>(Say.Compact, new Messages.CompactionRequest { Revision = 3 });
        ByteString key = Say.Bytes("a");
        (string Path, IMessage Request, string Says)[] rows =
        [
            (Say.Range, new Messages.RangeRequest(), "InvalidArgument: etcdserver: key is not provided"),
            (Say.RangeStream, new Messages.RangeRequest(), "InvalidArgument: etcdserver: key is not provided"),
            (Say.Range, new Messages.RangeRequest { Key = key, SortOrder = (Messages.RangeRequest.Types.SortOrder)7 }, "InvalidArgument: etcdserver: invalid sort option"),
            (Say.Range, new Messages.RangeRequest { Key = key, SortTarget = (Messages.RangeRequest.Types.SortTarget)7 }, "InvalidArgument: etcdserver: invalid sort option"),
            (Say.Range, new Messages.RangeRequest { Key = key, Revision = 2 }, "OutOfRange: etcdserver: mvcc: required revision has been compacted"),
            (Say.Range, new Messages.RangeRequest { Key = key, Revision = 99 }, "OutOfRange: etcdserver: mvcc: required revision is a future revision"),
            (Say.Put, new Messages.PutRequest(), "InvalidArgument: etcdserver: key is not provided"),
            (Say.Put, new Messages.PutRequest { Key = key, Value = key, IgnoreValue = true }, "InvalidArgument: etcdserver: value is provided"),
            (Say.Put, new Messages.PutRequest { Key = key, Lease = 9, IgnoreLease = true }, "InvalidArgument: etcdserver: lease is provided"),
            (Say.Put, new Messages.PutRequest { Key = Say.Bytes("x"), IgnoreValue = true }, "InvalidArgument: etcdserver: key not found"),
            (Say.Put, new Messages.PutRequest { Key = key, Lease = 8 }, "NotFound: etcdserver: requested lease not found"),
            (Say.Put, new Messages.PutRequest { Key = key, Value = ByteString.CopyFrom(new byte[1_700_000]) }, "InvalidArgument: etcdserver: request is too large"),
            (Say.Delete, new Messages.DeleteRangeRequest(), "InvalidArgument: etcdserver: key is not provided"),
            (Say.Compact, new Messages.CompactionRequest { Revision = 3 }, "OutOfRange: etcdserver: mvcc: required revision has been compacted"),
            (Say.Compact, new Messages.CompactionRequest { Revision = -1 }, "OutOfRange: etcdserver: mvcc: required revision has been compacted"),
            (Say.Compact, new Messages.CompactionRequest { Revision = 99 }, "OutOfRange: etcdserver: mvcc: required revision is a future revision"),
            (Say.Grant, new Messages.LeaseGrantRequest { ID = 9, TTL = 5 }, "FailedPrecondition: etcdserver: lease already exists"),
            (Say.Grant, new Messages.LeaseGrantRequest { TTL = 9_000_000_001 }, "OutOfRange: etcdserver: too large lease TTL"),
            (Say.Revoke, new Messages.LeaseRevokeRequest { ID = 8 }, "NotFound: etcdserver: requested lease not found"),
        ];
        foreach ((string path, IMessage request, string says) in rows)
        {
            Assert.Equal($"{path} {request.CalculateSize()}: {says}", $"{path} {request.CalculateSize()}: {await fronts.FailsAsync(path, request)}");
        }

        Assert.Equal(3, node.Node.Header.Revision.Value);
    }

    [Fact]
    public async Task A_transaction_is_checked_in_etcds_order_and_leaves_nothing_behind()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { TxnOperationsMax = 3, TxnDepthMax = 3 });
        await using AllFronts fronts = await AllFronts.OverAsync(node);
        var nothing = new Messages.RequestOp();
        Messages.RequestOp put = Say.Op(Say.PutOf("a"));
        Messages.RequestOp deleteAll = Say.Op(new Messages.DeleteRangeRequest { Key = Say.Bytes("a"), RangeEnd = Say.Bytes("z") });
        Messages.RequestOp emptyKey = Say.Op(new Messages.RangeRequest());
        var noKey = new Messages.Compare();
        (Messages.TxnRequest Txn, string Says)[] rows =
        [
            (Of([noKey], [put, put, put, put], []), "InvalidArgument: etcdserver: too many operations in txn request"),
            (Of([], [], [nothing, nothing, nothing, nothing]), "InvalidArgument: etcdserver: too many operations in txn request"),
            (Of([noKey], [nothing], []), "InvalidArgument: etcdserver: key is not provided"),
            (Of([], [nothing, emptyKey], []), "InvalidArgument: etcdserver: key not found"),
            (Of([], [put], [nothing]), "InvalidArgument: etcdserver: key not found"),
            (Of([], [put, put], [emptyKey]), "InvalidArgument: etcdserver: key is not provided"),
            (Of([], [put, put], []), "InvalidArgument: etcdserver: duplicate key given in txn request"),
            (Of([], [], [put, deleteAll]), "InvalidArgument: etcdserver: duplicate key given in txn request"),
            (Of([], [put, Say.Op(Of([], [put], []))], []), "InvalidArgument: etcdserver: duplicate key given in txn request"),
            (Of([], [put, Say.Op(Of([], [put, put, put], []))], []), "InvalidArgument: etcdserver: too many operations in txn request"),
            (Of([], [Say.Op(Of([], [Say.Op(Of([], [Say.Op(Of([], [], []))], []))], []))], []), "InvalidArgument: etcdserver: too many operations in txn request"),
            (Of([], [put, Say.Op(Say.PutOf("b", "x", lease: 5))], []), "NotFound: etcdserver: requested lease not found"),
            (Of([], [put, Say.Op(new Messages.PutRequest { Key = Say.Bytes("b"), IgnoreLease = true })], []), "InvalidArgument: etcdserver: key not found"),
            (Of([], [put, Say.Op(new Messages.RangeRequest { Key = Say.Bytes("b"), Revision = 77 })], []), "OutOfRange: etcdserver: mvcc: required revision is a future revision"),
        ];
        foreach ((Messages.TxnRequest txn, string says) in rows)
        {
            Assert.Equal($"{txn} {says}", $"{txn} {await fronts.FailsAsync(Say.Txn, txn)}");
        }

        Assert.True((await node.CallAsync<Messages.TxnResponse>(Say.Txn, Of([], [Say.Op(Of([], [put], [put]))], []))).Succeeded);
        Assert.True((await node.CallAsync<Messages.TxnResponse>(Say.Txn, Of([], [deleteAll, deleteAll], []))).Succeeded);
        Assert.Equal(3, node.Node.Header.Revision.Value);
    }

    private static Messages.TxnRequest Of(Messages.Compare[] compares, Messages.RequestOp[] success, Messages.RequestOp[] failure)
    {
        var txn = new Messages.TxnRequest();
        txn.Compare.Add(compares);
        txn.Success.Add(success);
        txn.Failure.Add(failure);
        return txn;
    }
}
