using System.Text;
using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;
using MetaStore.Raft;

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

    /// <summary>The visitor stalls at its second key, while all it has still to see is overwritten and compacted, and what is out of use is collected.</summary>
    [Theory]
    [InlineData(60, true)]
    [InlineData(61, true)]
    [InlineData(6000, false)]
    public void AVisitThatStalls_HoldsHistoryBack_ForSoLong(int seconds, bool isCompacted)
    {
        bool tooLong = seconds > 60 && isCompacted;
        var time = new SteppedNode.ManualTime();
        _store.Pins.ExpireAfter(TimeSpan.FromSeconds(60), time);
        for (int i = 0; i < 3000; i++)
        {
            Put($"k{i:D4}");
        }

        _store.Publish(2, 1);
        long before = _store.View.Revision;
        var seen = new List<string>();
        var visitor = new Stalling(seen, () =>
        {
            for (int i = 0; i < 3000; i++)
            {
                Put($"k{i:D4}");
            }

            time.Advance(TimeSpan.FromSeconds(seconds));
            PutAndCompact(isCompacted);
        });
        KeyRange range = KeyRange.From("k"u8.ToArray(), "l"u8.ToArray());

        Exception? failure = Record.Exception(() => _reader.Visit(range, before, ref visitor));

        if (tooLong)
        {
            Assert.Equal(_store.CompactRevision, Assert.IsType<CompactedException>(failure).CompactRevision.Value);
            Assert.InRange(seen.Count, 2, VisitSizes.Usual.SliceKeys); // What was read before it stalled is right, and shown.
            Assert.Equal(Enumerable.Range(0, seen.Count).Select(i => $"k{i:D4}"), seen);
        }
        else
        {
            Assert.Null(failure);
            Assert.Equal(Enumerable.Range(0, 3000).Select(i => $"k{i:D4}"), seen);
        }

        if (!isCompacted)
        {
            PutAndCompact();
        }

        // Nothing is held back any more, whichever way it ended.
        while (_store.Cutter.RunSlice(1000))
        {
        }

        seen.Clear();
        visitor = new Stalling(seen, () => { });
        Assert.Throws<MetaStoreException>(() => _reader.Visit(range, before, ref visitor));
        _reader.Visit(range, 0, ref visitor);
        Assert.Equal(3000, seen.Count);
    }

    private void Put(string key)
    {
        long revision = _store.Revision + 1;
        _store.Put(revision, Encoding.ASCII.GetBytes(key), [1], 0);
        _store.CommitRevision(revision);
    }

    /// <summary>What is asked before the member knows what it is comes to be answered when it knows.</summary>
    [Fact]
    public void AMemberThatTurnedOutToBeAWitness_AnswersNothingFromItsEmptyStore()
    {
        var reader = new StoreReader(new StoreHolder(MvccStore.Hollow(9, 1, Membership.Empty)), clusterId: 1, nodeId: 1, () => 1);
        var question = new LeaseAskRequest(LeaseQuestion.TimeToLive, 7);
        Action[] reads =
        [
            () => reader.Range(All, null), () => reader.Txn(new TxnRequest { Success = [All] }), () => reader.Hash(new HashRequest(Revision.Current), CancellationToken.None),
            () => reader.Lease(question, new LeaseFacts(1000, 300)), () => reader.Leases(),
        ];

        Assert.All(reads, read => Assert.Equal(MetaStoreError.WitnessMember, Assert.Throws<MetaStoreException>(read).Error));
    }

    private void PutAndCompact(bool compact = true)
    {
        Put("a");
        Put("b");
        Put("c");
        if (compact)
        {
            _store.Compact(_store.Revision);
        }

        _store.Publish(_store.View.AppliedIndex + 1, 1);
        while (_store.Cutter.RunSlice(10))
        {
        }
    }

    private struct Stalling(List<string> seen, Action stall) : IKeyValueVisitor
    {
        public readonly bool Visit(in KeyValueView item)
        {
            seen.Add(Encoding.ASCII.GetString(item.Key));
            if (seen.Count == 2)
            {
                stall();
            }

            return true;
        }
    }
}
