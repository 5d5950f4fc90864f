using System.Text;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Tests;

/// <summary>Reads that a compaction overtakes. The reader asks for the term when its walk is over: that is where the compactions come in here.</summary>
public class StoreReaderTests
{
    private readonly MvccStore _store = new();
    private readonly StoreReader _reader;
    private int _compactionsLeft;

    public StoreReaderTests()
    {
        _reader = new StoreReader(new StoreHolder(_store), clusterId: 1, nodeId: 1, () =>
        {
            if (_compactionsLeft-- > 0)
            {
                PutAndCompact();
            }

            return 1;
        });
        Put("a");
        Put("b");
        _store.Publish(1, 1);
    }

    private static RangeRequest All => new() { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } };

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    public void AReadOfTheCurrentState_IsAnswered_WhateverIsCompactedMeanwhile(int compactions)
    {
        _compactionsLeft = compactions;
        RangeResponse response = _reader.Range(All, null);
        Assert.Equal(["a", "b", "c"], response.Items.Select(item => Encoding.ASCII.GetString(item.Key.Span)));
        Assert.All(response.Items, item => Assert.True(item.ModRevision <= response.Header.Revision));
    }

    [Fact]
    public void ATransactionIsReadAgainAsAWhole()
    {
        _compactionsLeft = 1;
        TxnResponse response = _reader.Txn(new TxnRequest { Success = [All, All with { CountOnly = true }] });
        Assert.All(response.Responses, part => Assert.Equal(3, ((RangeResponse)part).Count));
    }

    [Fact]
    public void ARevisionThatIsNamedAndCompacted_IsRefused()
    {
        _compactionsLeft = 1;
        RangeRequest old = All with { Revision = new Revision(_store.View.Revision) };
        Assert.Equal(MetaStoreError.Compacted, Assert.Throws<MetaStoreException>(() => _reader.Range(old, null)).Error);
        _compactionsLeft = 1;
        old = All with { Revision = new Revision(_store.View.Revision) };
        Assert.Equal(MetaStoreError.Compacted, Assert.Throws<MetaStoreException>(() => _reader.Txn(new TxnRequest { Success = [All, old] })).Error);
    }

    private void Put(string key)
    {
        long revision = _store.Revision + 1;
        _store.Put(revision, Encoding.ASCII.GetBytes(key), [1], 0);
        _store.CommitRevision(revision);
    }

    private void PutAndCompact()
    {
        Put("a");
        Put("b");
        Put("c");
        _store.Compact(_store.Revision);
        _store.Publish(_store.View.AppliedIndex + 1, 1);
        var cutter = new HistoryCutter(_store);
        while (cutter.RunSlice(10))
        {
        }
    }
}
