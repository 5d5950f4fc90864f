using MetaStore.Engine;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>
/// etcd's errors, code and text to the letter (its rpctypes): clients tell them apart by the text. The one place where what the store says becomes what a
/// client of etcd knows.
/// </summary>
internal static class EtcdErrors
{
    private const string Prefix = "etcdserver: ";

    public static RpcException EmptyKey => Of(StatusCode.InvalidArgument, "key is not provided");

    public static RpcException KeyNotFound => Of(StatusCode.InvalidArgument, "key not found");

    public static RpcException ValueProvided => Of(StatusCode.InvalidArgument, "value is provided");

    public static RpcException LeaseProvided => Of(StatusCode.InvalidArgument, "lease is provided");

    public static RpcException TooManyOperations => Of(StatusCode.InvalidArgument, "too many operations in txn request");

    public static RpcException InvalidSortOption => Of(StatusCode.InvalidArgument, "invalid sort option");

    public static RpcException InvalidClientApiVersion => Of(StatusCode.InvalidArgument, "invalid client api version");

    public static RpcException MemberUrlsInvalid => Of(StatusCode.InvalidArgument, "given member URLs are invalid");

    public static RpcException Compacted => Of(StatusCode.OutOfRange, "mvcc: required revision has been compacted");

    public static RpcException NoLeader => Of(StatusCode.Unavailable, "no leader");

    public static RpcException Stopped => Of(StatusCode.Unavailable, "server stopped");

    public static RpcException NotLeader => Of(StatusCode.FailedPrecondition, "not leader");

    public static RpcException NotCapable => Of(StatusCode.FailedPrecondition, "not capable");

    public static RpcException NotSupportedForLearner => Of(StatusCode.FailedPrecondition, "rpc not supported for learner");

    public static RpcException WrongDowngradeVersion => Of(StatusCode.InvalidArgument, "wrong downgrade target version format");

    public static RpcException InvalidDowngradeTarget => Of(StatusCode.InvalidArgument, "invalid downgrade target version");

    public static RpcException NoInflightDowngrade => Of(StatusCode.FailedPrecondition, "no inflight downgrade job");

    public static RpcException AuthNotEnabled => Of(StatusCode.FailedPrecondition, "authentication is not enabled");

    public static RpcException RootUserNotExist => Of(StatusCode.FailedPrecondition, "root user does not exist");

    public static RpcException UserEmpty => Of(StatusCode.InvalidArgument, "user name is empty");

    public static RpcException UserNotFound => Of(StatusCode.FailedPrecondition, "user name not found");

    public static RpcException RoleEmpty => Of(StatusCode.InvalidArgument, "role name is empty");

    public static RpcException RoleNotFound => Of(StatusCode.FailedPrecondition, "role name not found");

    /// <summary>A plain error of one of etcd's own clients inside the server (locks, elections), which has no code and no prefix.</summary>
    public static RpcException Plain(string message) => new(StatusCode.Unknown, message);

    /// <summary>An answer that would be longer than the server sends.</summary>
    public static RpcException AnswerTooLarge(long bytesMax) => new(
        StatusCode.ResourceExhausted, $"the answer is larger than {bytesMax} bytes; ask for less at a time: a smaller range, a limit, or RangeStream");

    public static RpcException LeaseKeysTooLarge(long bytesMax) => new(
        StatusCode.ResourceExhausted, $"the keys of the lease take more than {bytesMax} bytes; ask without them");

    /// <summary>What a client of etcd is told when the store has failed like this.</summary>
    public static RpcException From(MetaStoreException e) => e.Error switch
    {
        MetaStoreError.EmptyKey => EmptyKey,
        MetaStoreError.KeyNotFound => KeyNotFound,
        MetaStoreError.ValueProvided => ValueProvided,
        MetaStoreError.LeaseProvided => LeaseProvided,
        MetaStoreError.LeaseNotFound => Of(StatusCode.NotFound, "requested lease not found"),
        MetaStoreError.Compacted => Compacted,
        MetaStoreError.FutureRevision => Of(StatusCode.OutOfRange, "mvcc: required revision is a future revision"),
        MetaStoreError.TooManyOperations => TooManyOperations,
        MetaStoreError.DuplicateKey => Of(StatusCode.InvalidArgument, "duplicate key given in txn request"),
        MetaStoreError.InvalidSortOption => InvalidSortOption,
        MetaStoreError.RequestTooLarge => Of(StatusCode.InvalidArgument, "request is too large"),
        MetaStoreError.Busy => Of(StatusCode.ResourceExhausted, "too many requests"),
        MetaStoreError.NoLeader => NoLeader,
        MetaStoreError.Timeout => Of(StatusCode.Unavailable, "request timed out"),
        MetaStoreError.Stopped or MetaStoreError.NodeFailed => Stopped,
        MetaStoreError.ConnectionLost => Of(StatusCode.Unavailable, "request timed out, possibly due to connection lost"),
        MetaStoreError.ClusterMismatch => Of(StatusCode.FailedPrecondition, "cluster ID mismatch"),
        MetaStoreError.ResponseTooLarge => new RpcException(StatusCode.ResourceExhausted, e.Message),
        MetaStoreError.LeaseExists => Of(StatusCode.FailedPrecondition, "lease already exists"),
        MetaStoreError.LeaseTtlTooLarge => Of(StatusCode.OutOfRange, "too large lease TTL"),
        MetaStoreError.WitnessMember => NotSupportedForLearner,
        MetaStoreError.InvalidArgument => Of(StatusCode.InvalidArgument, e.Message),
        _ => FromMembers(e),
    };

    private static RpcException FromMembers(MetaStoreException e) => e.Error switch
    {
        MetaStoreError.MemberNotFound => Of(StatusCode.NotFound, "member not found"),
        MetaStoreError.PeerUrlsExist => Of(StatusCode.FailedPrecondition, "Peer URLs already exists"),
        MetaStoreError.MemberNotLearner => Of(StatusCode.FailedPrecondition, "can only promote a learner member"),
        MetaStoreError.LearnerNotReady => Of(StatusCode.FailedPrecondition, "can only promote a learner member which is in sync with leader"),
        MetaStoreError.UnhealthyCluster => Of(StatusCode.Unavailable, "unhealthy cluster"),
        MetaStoreError.TooManyLearners => Of(StatusCode.FailedPrecondition, "too many learner members in cluster"),
        MetaStoreError.NotEnoughStarted => Of(StatusCode.FailedPrecondition, "re-configuration failed due to not enough started members"),
        MetaStoreError.BadTransferee => Of(StatusCode.FailedPrecondition, "bad leader transferee"),
        MetaStoreError.TooManyWitnesses => Of(StatusCode.FailedPrecondition, e.Message),
        _ => Of(StatusCode.Unknown, e.Message),
    };

    private static RpcException Of(StatusCode code, string text) => new(code, Prefix + text);
}
