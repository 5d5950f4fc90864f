using MetaStore.Engine.Hosting;
using MetaStore.Engine.Replication;

namespace MetaStore.Engine.Tests;

/// <summary>What may be applied on the thread of whoever waits for it, and what may not.</summary>
public sealed class BriefWorkTests
{
    private static readonly byte[] s_key = [1];
    private static readonly PutRequest s_put = new() { Key = s_key };
    private static readonly DeleteRangeRequest s_deleteAll = new() { Key = s_key, RangeEnd = new byte[] { 0 } };

    public static TheoryData<StoreRequest, bool> Requests { get; } = new()
    {
        { s_put, true },
        { new LeaseGrantRequest(10), true },
        { new DeleteRangeRequest { Key = s_key }, true },
        { s_deleteAll, false },
        { new LeaseRevokeRequest(1), false },
        { new CompactRequest(new Revision(1)), false },
        { new TxnRequest { Compare = [new Compare { Key = s_key }], Success = [s_put, new RangeRequest { Key = s_key }], Failure = [s_put] }, true },
        { new TxnRequest { Compare = [new Compare { Key = s_key, RangeEnd = new byte[] { 0 } }], Success = [s_put] }, false },
        { new TxnRequest { Success = [s_put], Failure = [s_deleteAll] }, false },
        { new TxnRequest { Success = [new TxnRequest { Success = [s_put] }] }, false },
        { new TxnRequest { Success = [.. Enumerable.Repeat(s_put, 17)] }, false },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public void ARequestIsBrief_WhereItNamesFewKeys(StoreRequest request, bool isBrief) => Assert.Equal(isBrief, BriefWork.Is(request));

    [Fact]
    public void TheApplierIsBrief_AsLongAsNothingElseWaits()
    {
        using var node = new SteppedNode();
        Applier applier = node.Core.Apply;
        for (int round = 0; round < 3; round++)
        {
            Submit(s_put);
            Assert.True(applier.Queued > 0 && applier.IsBrief);
            Submit(s_deleteAll);
            Assert.False(applier.IsBrief);
            node.Settle();
            Assert.True(applier.IsBrief);
        }

        foreach (int _ in Enumerable.Range(0, 3))
        {
            Submit(s_put);
        }

        Assert.False(applier.IsBrief); // Brief each, but too many.

        void Submit(StoreRequest request)
        {
            Task answer = request is PutRequest put ? node.Core.PutAsync(put).AsTask() : node.Core.DeleteRangeAsync((DeleteRangeRequest)request).AsTask();
            while (node.Core.Loops.Where(loop => loop.Name is "node" or "log").Aggregate(false, (worked, loop) => loop.RunOnce() || worked))
            {
                // Until it is committed.
            }

            Assert.False(answer.IsCompleted);
        }
    }

    [Fact]
    public void HistoryThatIsToBeCut_IsTheAppliersOwnWork()
    {
        using var node = new SteppedNode();
        for (int i = 0; i < 5; i++)
        {
            _ = node.Core.PutAsync(s_put).AsTask();
        }

        node.Settle();
        ILoop applier = node.Core.Apply;
        _ = node.Core.CompactAsync(new CompactRequest(node.Core.Header.Revision)).AsTask();
        while (node.Core.Loops.Where(loop => loop.Name is "node" or "log").Aggregate(false, (worked, loop) => loop.RunOnce() || worked))
        {
            // Until it is committed.
        }

        Assert.True(applier.RunOnce());
        Assert.False(applier.IsBrief);
        while (applier.RunOnce())
        {
            // It cuts.
        }

        Assert.True(applier.IsBrief);
    }
}
