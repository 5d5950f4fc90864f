using MetaStore.Engine;

namespace MetaStore.Etcd.Services;

/// <summary>
/// A request of etcd as the store's own, once <see cref="RequestCheck"/> has passed it. Keys and values are not copied: they lie in the message, which is its caller's and does
/// not change.
/// </summary>
internal static class RequestForms
{
    public static RangeRequest ToStore(Messages.RangeRequest request) => new()
    {
        Key = request.Key.Memory,
        RangeEnd = request.RangeEnd.Memory,
        Limit = request.Limit,
        Revision = new Revision(request.Revision),
        Serializable = request.Serializable,
        CountOnly = request.CountOnly,
        KeysOnly = request.KeysOnly,
        SortTarget = (SortTarget)request.SortTarget,
        SortOrder = (SortOrder)request.SortOrder,
        MinModRevision = new Revision(request.MinModRevision),
        MaxModRevision = new Revision(request.MaxModRevision),
        MinCreateRevision = new Revision(request.MinCreateRevision),
        MaxCreateRevision = new Revision(request.MaxCreateRevision),
    };

    public static PutRequest ToStore(Messages.PutRequest request) => new()
    {
        Key = request.Key.Memory,
        Value = request.Value.Memory,
        LeaseId = request.Lease,
        ReturnPrevious = request.PrevKv,
        IgnoreValue = request.IgnoreValue,
        IgnoreLease = request.IgnoreLease,
    };

    public static DeleteRangeRequest ToStore(Messages.DeleteRangeRequest request) => new()
    {
        Key = request.Key.Memory,
        RangeEnd = request.RangeEnd.Memory,
        ReturnPrevious = request.PrevKv,
    };

    public static TxnRequest ToStore(Messages.TxnRequest request) => new()
    {
        Compare = [.. request.Compare.Select(ToStore)],
        Success = [.. request.Success.Select(ToStore)],
        Failure = [.. request.Failure.Select(ToStore)],
    };

    private static StoreRequest ToStore(Messages.RequestOp operation) => operation.RequestCase switch
    {
        Messages.RequestOp.RequestOneofCase.RequestRange => ToStore(operation.RequestRange),
        Messages.RequestOp.RequestOneofCase.RequestPut => ToStore(operation.RequestPut),
        Messages.RequestOp.RequestOneofCase.RequestDeleteRange => ToStore(operation.RequestDeleteRange),
        Messages.RequestOp.RequestOneofCase.RequestTxn => ToStore(operation.RequestTxn),
        _ => throw new InvariantException($"an operation of kind {operation.RequestCase} has passed the check"),
    };

    /// <summary>As in etcd, what does not fit the target counts as not given: 0, or the empty value. So does each of the fields of a union that another one holds.</summary>
    private static Compare ToStore(Messages.Compare compare) => new()
    {
        Key = compare.Key.Memory,
        RangeEnd = compare.RangeEnd.Memory,
        Target = (CompareTarget)compare.Target,
        Relation = (CompareRelation)compare.Result,
        Number = compare.Target switch
        {
            Messages.Compare.Types.CompareTarget.Version => compare.Version,
            Messages.Compare.Types.CompareTarget.Create => compare.CreateRevision,
            Messages.Compare.Types.CompareTarget.Mod => compare.ModRevision,
            Messages.Compare.Types.CompareTarget.Lease => compare.Lease,
            _ => 0,
        },
        Value = compare.Value.Memory,
    };
}
