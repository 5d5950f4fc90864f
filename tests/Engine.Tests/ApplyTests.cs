using System.Text;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Tests;

/// <summary>What applying a request comes to depends on the log alone, and is all or nothing.</summary>
public sealed class ApplyTests
{
    /// <summary>One member still holds compacted history, since it is writing a snapshot; the other has cut it.</summary>
    [Fact]
    public void ATransaction_ComesToTheSame_HoweverMuchHistoryAMemberStillHolds()
    {
        MvccStore cut = new();
        MvccStore pinned = new();
        using ViewPins.PinnedView pin = pinned.Pins.Pin(pinned);
        foreach (MvccStore store in (MvccStore[])[cut, pinned])
        {
            var applier = new RequestApplier(store, clusterId: 1, nodeId: 1, new AppliedCounts());
            for (int i = 0; i < 5; i++)
            {
                Assert.False(applier.Apply(Put("key", $"{i}"), wantResponse: false).IsFailed);
            }

            Assert.False(applier.Apply(new CompactRequest(new Revision(4)), wantResponse: false).IsFailed);
            store.Publish(appliedIndex: 6, appliedTerm: 1);
            var read = new RangeRequest { Key = Bytes("key"), Revision = new Revision(2) };
            ApplyResult result = applier.Apply(new TxnRequest { Success = [read, Put("other", "x")] }, wantResponse: true);
            Assert.Equal(MetaStoreError.Compacted, result.Error);
        }

        Assert.Equal(cut.CurrentDigest, pinned.CurrentDigest);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void ATransactionThatFails_LeavesNoTrace(int depth)
    {
        MvccStore store = new();
        var applier = new RequestApplier(store, clusterId: 1, nodeId: 1, new AppliedCounts());
        applier.Apply(Put("key", "value"), wantResponse: false);
        (long revision, ulong digest) = (store.Revision, store.CurrentDigest);
        TxnRequest txn = new() { Success = [Put("key", "changed"), Put("missing", "") with { IgnoreValue = true }] };
        for (int i = 1; i < depth; i++)
        {
            txn = new TxnRequest { Success = [Put($"key {i}", "changed"), txn] };
        }

        ApplyResult result = applier.Apply(txn, wantResponse: true);

        Assert.Equal(MetaStoreError.KeyNotFound, result.Error);
        Assert.Equal((revision, digest), (store.Revision, store.CurrentDigest));
    }

    private static PutRequest Put(string key, string value) => new() { Key = Bytes(key), Value = Bytes(value) };

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
