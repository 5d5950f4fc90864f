using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>The parts that are pure arithmetic, each against the plainest way to say the same.</summary>
public sealed class PartsTests
{
    [Fact]
    public void HeldByMajority_IsTheHighestPositionThatAMajorityHas()
    {
        var random = new Random(1);
        for (int size = 1; size <= 9; size++)
        {
            var voters = new VoterSet([.. Enumerable.Range(1, size).Select(id => new NodeId((ulong)id))]);
            for (int i = 0; i < 100; i++)
            {
                ulong[] matches = [.. Enumerable.Range(0, size).Select(_ => (ulong)random.Next(6))];

                ulong expected = Enumerable.Range(0, 6).Select(index => (ulong)index).Where(index => matches.Count(match => match >= index) > size / 2).Max();

                Assert.Equal(expected, voters.HeldByMajority(voter => matches[voter.Value - 1]));
            }
        }
    }

    [Theory]
    [InlineData(3, "yy", VoteResult.Won)]
    [InlineData(3, "yn", VoteResult.Pending)]
    [InlineData(3, "nn", VoteResult.Lost)]
    [InlineData(4, "yy", VoteResult.Pending)]
    [InlineData(4, "nn", VoteResult.Lost)]
    [InlineData(5, "yynn", VoteResult.Pending)]
    [InlineData(5, "nnn", VoteResult.Lost)]
    [InlineData(1, "", VoteResult.Pending)]
    [InlineData(1, "y", VoteResult.Won)]
    internal void Votes_AreCounted(int size, string answers, VoteResult expected)
    {
        var voters = new VoterSet([.. Enumerable.Range(1, size).Select(id => new NodeId((ulong)id))]);
        Dictionary<NodeId, bool> votes = new() { [new NodeId(99)] = true }; // A stranger's vote counts for nothing.
        for (int i = 0; i < answers.Length; i++)
        {
            votes[new NodeId((ulong)i + 1)] = answers[i] == 'y';
        }

        Assert.Equal(expected, voters.Count(votes));
    }

    [Fact]
    public void TheEntryBuffer_IsAList_UnderRandomUse()
    {
        var random = new Random(2);
        var buffer = new EntryBuffer();
        List<Entry> model = [];
        ulong removedBytes = 0;
        for (int i = 0; i < 20_000; i++)
        {
            switch (random.Next(10))
            {
                case 0:
                    int removed = random.Next(model.Count + 1);
                    removedBytes += (ulong)model.Take(removed).Sum(entry => EntrySize.Of(entry));
                    model.RemoveRange(0, removed);
                    buffer.RemoveFront(removed);
                    break;
                case 1:
                    int kept = random.Next(model.Count + 1);
                    model.RemoveRange(kept, model.Count - kept);
                    buffer.Truncate(kept);
                    break;
                default:
                    var entry = new Entry(new Term(1), new LogIndex((ulong)i), EntryKind.Command, new byte[random.Next(5)]);
                    model.Add(entry);
                    buffer.Add(entry);
                    break;
            }

            Assert.Equal(model.Count, buffer.Count);
            Assert.Equal(removedBytes + (ulong)model.Sum(entry => EntrySize.Of(entry)), buffer.BytesThrough(buffer.Count - 1));
            if (i % 100 == 0)
            {
                Assert.Equal(model, buffer.Copy(0, buffer.Count));
            }
        }
    }

    [Fact]
    public void TheWindow_FreesExactlyWhatIsAcknowledged()
    {
        var window = new Inflights(messagesMax: 3, bytesMax: 100);
        window.Add(new LogIndex(1), 10);
        window.Add(new LogIndex(5), 20);
        Assert.False(window.IsFull);
        window.Add(new LogIndex(6), 30);
        Assert.True(window.IsFull);

        window.FreeThrough(new LogIndex(4));
        Assert.Equal((2, 50L), (window.Count, window.Bytes));

        window.FreeThrough(new LogIndex(9));
        Assert.Equal((0, 0L), (window.Count, window.Bytes));

        window.Add(new LogIndex(10), 1000);
        Assert.True(window.IsFull);
        Assert.Throws<InvariantException>(() => window.Add(new LogIndex(11), 1));
    }

    [Fact]
    public void AReceipt_NeverVouchesForALaterWrite()
    {
        // The same entry is written, cut away and written again, all three under way at once.
        var ledger = new WriteLedger(default, LogIndex.Zero);
        ulong first = ledger.Open(new LogIndex(5), default);
        ledger.CutFrom(new LogIndex(5));
        ulong second = ledger.Open(new LogIndex(5), default);
        ledger.CutFrom(new LogIndex(5));
        ulong third = ledger.Open(new LogIndex(5), default);
        List<Message> free = [];

        ledger.Close(first, Term.Zero, free);
        Assert.Equal(new LogIndex(4), ledger.DurableIndex);
        ledger.Close(second, Term.Zero, free);
        Assert.Equal(new LogIndex(4), ledger.DurableIndex);
        ledger.Close(third, Term.Zero, free);
        Assert.Equal(new LogIndex(5), ledger.DurableIndex);
    }

    [Fact]
    public void TheLog_IsNeverCutAtWhatIsCommitted()
    {
        var log = new RaftLog(new WriteLedger(default, new LogIndex(2)), Membership.Empty, null, [Entry(1, 1), Entry(1, 2)], new LogIndex(2));

        var broken = Assert.Throws<InvariantException>(() => log.Merge([Entry(2, 2)]));

        Assert.Contains("cut at 2", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AHeartbeatBehindTheLog_StopsTheNode()
    {
        var log = new RaftLog(new WriteLedger(default, LogIndex.Zero), Membership.Empty, null, [], LogIndex.Zero);

        var broken = Assert.Throws<InvariantException>(() => log.CommitThrough(new LogIndex(7)));

        Assert.Contains("lost entries that it acknowledged", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheCore_KnowsNoClockThreadDiskOrNetwork()
    {
        string[] references = [.. typeof(RaftNode).Assembly.GetReferencedAssemblies().Select(name => name.Name!).Order(StringComparer.Ordinal)];

        Assert.All(references, name => Assert.Contains(name, new[] { "System.Runtime", "System.Collections", "System.Linq", "System.Memory" }));
    }

    private static Entry Entry(ulong term, ulong index) => new(new Term(term), new LogIndex(index), EntryKind.Command, default);

    /// <summary>What an active peer needs next stays, where it is no more than it may be; for one that is silent, or too far behind, nothing does.</summary>
    [Theory]
    [InlineData(4, true, 1000, 5)]
    [InlineData(4, false, 1000, 10)]
    [InlineData(4, true, 6 * 21, 5)]
    [InlineData(4, true, (6 * 21) - 1, 10)]
    [InlineData(10, true, 0, 10)]
    public void TheLog_IsKept_ForWhoeverMayStillCatchUpFromIt(ulong held, bool isActive, long catchUpBytes, ulong firstIndex)
    {
        NodeBench bench = LeaderOfTenEntries(held, isActive);
        bench.Node.AdvanceApplied(new LogIndex(10));

        bench.Node.Compact(new SnapshotMetadata(new LogIndex(10), new Term(1), bench.Node.Membership), catchUpBytes: catchUpBytes);

        Assert.Equal((Role.Leader, new LogIndex(firstIndex)), (bench.Node.Role, bench.Node.FirstIndex));
    }

    /// <summary>Beyond what may be held goes what is applied, to three quarters of it, unless an active peer needs it and is not too far behind.</summary>
    [Theory]
    [InlineData(10, true, 10, 10 * 21, 0, 1)]
    [InlineData(10, true, 10, 5 * 21, 0, 8)]
    [InlineData(10, true, 6, 5 * 21, 0, 7)]
    [InlineData(10, true, 10, 1, 0, 11)]
    [InlineData(4, true, 10, 5 * 21, 6 * 21, 5)]
    [InlineData(4, true, 10, 5 * 21, (6 * 21) - 1, 8)]
    [InlineData(4, false, 10, 5 * 21, 1000, 8)]
    public void TheLog_IsTrimmed_ToWhatMayBeHeld(ulong held, bool isActive, ulong applied, long bytesMax, long catchUpBytes, ulong firstIndex)
    {
        NodeBench bench = LeaderOfTenEntries(held, isActive);
        bench.Node.AdvanceApplied(new LogIndex(applied));

        bench.Node.Trim(bytesMax, catchUpBytes);

        Assert.Equal((Role.Leader, new LogIndex(firstIndex), new LogIndex(10)), (bench.Node.Role, bench.Node.FirstIndex, bench.Node.LastIndex));
    }

    /// <summary>A peer that is behind the entries held gets a snapshot that reaches to them, and what comes behind is held for it; a snapshot that ends before them is worth recording all the same.</summary>
    [Fact]
    public void WhoIsBehindATrimmedLog_NeedsASnapshotThatReachesToIt()
    {
        NodeBench bench = LeaderOfTenEntries(held: 4, isActive: true);
        bench.Node.AdvanceApplied(new LogIndex(10));
        bench.Node.Trim(5 * 21, catchUpBytes: 0);
        bench.Node.Compact(new SnapshotMetadata(new LogIndex(5), new Term(1), bench.Node.Membership));
        bench.Node.ReportUnreachable(new NodeId(3));

        bench.Step(NodeBench.From(3, MessageKind.HeartbeatReply, 1));
        Ready ready = bench.Node.TakeReady();
        Assert.Equal([new NodeId(3)], ready.SnapshotsToSend);
        Assert.Equal((new LogIndex(5), new LogIndex(8)), (bench.Node.SnapshotIndex, bench.Node.FirstIndex));

        bench.Node.Trim(1, catchUpBytes: 1000);
        Assert.Equal(new LogIndex(8), bench.Node.FirstIndex);
        bench.Node.Trim(1, catchUpBytes: 0);
        Assert.Equal(new LogIndex(11), bench.Node.FirstIndex);
    }

    /// <summary>It may be deaf and not mute: whoever has most of the log is asked to stand, once, in its term.</summary>
    [Fact]
    public void ALeaderThatHearsNobody_NamesItsSuccessor()
    {
        NodeBench bench = new NodeBench(3).Lead().Sync();
        bench.Node.Propose(default);
        bench.Sync();
        bench.Step(NodeBench.From(3, MessageKind.AppendReply, 1) with { Index = new LogIndex(2) });
        while (bench.Node.Role == Role.Leader)
        {
            bench.Tick(1).Take();
        }

        Message asked = Assert.Single(bench.Sent, message => message.Kind == MessageKind.TimeoutNow);
        Assert.Equal((new NodeId(3), new Term(1)), (asked.To, asked.Term));
    }

    /// <summary>A piece is for those who lack what the snapshot holds: not for who got it from the log meanwhile, nor for who is no member.</summary>
    [Fact]
    public void APieceOfASnapshot_IsMadeForThoseWhoNeedIt()
    {
        NodeBench bench = LeaderOfTenEntries(held: 4, isActive: true);
        bench.Node.AdvanceApplied(new LogIndex(10));
        var snapshot = new SnapshotMetadata(new LogIndex(5), new Term(1), bench.Node.Membership);
        bench.Node.Compact(snapshot);
        Message? ToPeer(ulong peer) => bench.Node.MakeSnapshotChunk(new NodeId(peer), snapshot, offset: 0, length: 1, new byte[1]);
        Assert.Equal(new NodeId(3), ToPeer(3)?.To);
        Assert.Null(ToPeer(2));
        Assert.Null(ToPeer(4));

        bench.Step(NodeBench.From(3, MessageKind.AppendReply, 1) with { Index = new LogIndex(5) });
        Assert.Null(ToPeer(3));
    }

    /// <summary>Member 2 has all, member 3 the first <paramref name="held"/>, and has been silent since, or not. The entries have no data.</summary>
    private static NodeBench LeaderOfTenEntries(ulong held, bool isActive)
    {
        NodeBench bench = new NodeBench(3, compactionTail: 1).Lead().Sync();
        for (int i = 0; i < 9; i++)
        {
            bench.Node.Propose(default);
        }

        bench.Sync();
        bench.Step(NodeBench.From(2, MessageKind.AppendReply, 1) with { Index = new LogIndex(10) });
        bench.Step(NodeBench.From(3, MessageKind.AppendReply, 1) with { Index = new LogIndex(held) });
        for (int tick = 0; tick < 30 && !isActive; tick++)
        {
            bench.Step(NodeBench.From(2, MessageKind.HeartbeatReply, 1)).Tick(1);
        }

        return bench.Sync();
    }
}
