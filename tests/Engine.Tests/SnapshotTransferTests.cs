using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>Snapshots from a node to its peers, piece by piece: what is sent again, how many go at a time, and how fast.</summary>
public sealed class SnapshotTransferTests
{
    private const uint Group = 1;
    private const int ChunkBytes = 500;
    private const ulong Index = 40;

    private static readonly SnapshotOptions s_options = new() { ChunkBytes = ChunkBytes, BytesPerSecondMax = 0, ResendTicks = 2, GiveUpTicks = 6, TransfersMax = 2 };

    private readonly SteppedNode.ManualTime _time = new();
    private readonly List<SnapshotEvent> _reported = [];
    private int _demanded;
    private readonly SnapshotStore _files = new(new FaultyDisk(new Random(1)), "/leader", new WalIdentity(7, 1));

    public SnapshotTransferTests() => WriteSnapshot(Index);

    /// <summary>What was there before the connection broke is not sent again, though the leader gave up in between and has a newer snapshot.</summary>
    [Fact]
    public void ATransferThatWasGivenUp_GoesOnWhereItStopped()
    {
        using SnapshotTransfers transfers = Make(s_options);
        using var peer = new Peer(2);
        transfers.Begin(peer.Id, isWitness: false, indexMin: Index);
        List<ulong> sent = Exchange(transfers, peer, pieces: 4);
        Assert.Equal([0, ChunkBytes, 2 * ChunkBytes, 3 * ChunkBytes], sent.Select(offset => (int)offset));

        sent.Clear();
        while (!_reported.OfType<SnapshotEvent.TransferEnded>().Any())
        {
            transfers.Tick();
            sent.AddRange(Send(transfers).Select(piece => piece.Offset)); // Nothing arrives.
        }

        Assert.All(sent, offset => Assert.Equal(4ul * ChunkBytes, offset));
        WriteSnapshot(Index + 10);
        _reported.Clear();
        transfers.Begin(peer.Id, isWitness: false, indexMin: Index);
        sent = Exchange(transfers, peer, pieces: int.MaxValue);

        Assert.Equal(1, transfers.Resumed);
        Assert.Equal(4ul * ChunkBytes, sent[0]);
        Assert.Equal(sent.Count, sent.Distinct().Count());
        Assert.Equal(Index, peer.Received!.Info.Index);
        Assert.Equal(Index, peer.Received.Store.View.AppliedIndex);
        Assert.True(Assert.Single(_reported.OfType<SnapshotEvent.TransferEnded>()).Succeeded);
    }

    /// <summary>The log does not go on any more where the old one ends.</summary>
    [Fact]
    public void ATransferOfASnapshotThatIsOfNoUseAnyMore_BeginsWithTheNewest()
    {
        using SnapshotTransfers transfers = Make(s_options);
        using var peer = new Peer(2);
        transfers.Begin(peer.Id, isWitness: false, indexMin: Index);
        Exchange(transfers, peer, pieces: 4);
        WriteSnapshot(Index + 10);

        transfers.Begin(peer.Id, isWitness: false, indexMin: Index + 1);
        List<ulong> sent = Exchange(transfers, peer, pieces: int.MaxValue);

        Assert.Equal((0, 0ul), (transfers.Resumed, sent[0]));
        Assert.Equal(Index + 10, peer.Received!.Info.Index);
    }

    /// <summary>The log does not go on where the newest one ends: a new one is demanded, and again where the next to come was begun too early.</summary>
    [Fact]
    public void WhereAllSnapshotsAreTooOld_TheTransferWaitsForANewOne()
    {
        using SnapshotTransfers transfers = Make(s_options);
        using var peer = new Peer(2);
        transfers.Begin(peer.Id, isWitness: false, indexMin: Index + 5);
        Assert.Empty(Exchange(transfers, peer, pieces: int.MaxValue));
        Assert.Equal((1, false), (_demanded, transfers.IsEmpty));

        WriteSnapshot(Index + 4);
        transfers.SnapshotTaken();
        Assert.Empty(Exchange(transfers, peer, pieces: int.MaxValue));
        Assert.Equal(2, _demanded);

        WriteSnapshot(Index + 5);
        transfers.SnapshotTaken();
        Exchange(transfers, peer, pieces: int.MaxValue);
        Assert.Equal(Index + 5, peer.Received!.Info.Index);
        Assert.Equal(2, _demanded);
    }

    [Fact]
    public void SoManyAtATime_TheOthersInTurn()
    {
        using SnapshotTransfers transfers = Make(s_options with { TransfersMax = 2 });
        Peer[] peers = [.. Enumerable.Range(2, 4).Select(id => new Peer((ulong)id))];
        foreach (Peer peer in peers)
        {
            transfers.Begin(peer.Id, isWitness: false, indexMin: Index);
        }

        var order = new List<ulong>();
        while (peers.Any(peer => peer.Received is null))
        {
            SnapshotEvent.ChunkToSend[] pieces = [.. Send(transfers)];
            Assert.InRange(pieces.Length, 1, 2);
            foreach (SnapshotEvent.ChunkToSend piece in pieces)
            {
                order.Add(piece.To.Value);
                transfers.Handle(peers.Single(peer => peer.Id == piece.To).Answer(piece));
            }
        }

        Assert.Equal([2, 3, 4, 5], order.Distinct().Select(id => (int)id));
        Assert.True(order.LastIndexOf(3) < order.IndexOf(5), "the last one began before the first two had ended");
        Array.ForEach(peers, peer => peer.Dispose());
    }

    /// <summary>A peer that caught up from the log meanwhile needs no snapshot, and keeps nobody waiting who does.</summary>
    [Fact]
    public void WhatIsOfNoUseAnyMore_IsCancelled_AndMakesRoom()
    {
        using SnapshotTransfers transfers = Make(s_options with { TransfersMax = 1 });
        using var caughtUp = new Peer(2);
        using var behind = new Peer(3);
        transfers.Begin(caughtUp.Id, isWitness: false, indexMin: Index);
        transfers.Begin(behind.Id, isWitness: false, indexMin: Index);
        Assert.Equal(caughtUp.Id, Assert.Single(Send(transfers)).To);

        transfers.Cancel(caughtUp.Id, Index - 1); // of a transfer before this one
        transfers.Cancel(behind.Id, Index); // it waits, and nothing was sent of it yet
        Assert.Empty(Send(transfers));

        transfers.Cancel(caughtUp.Id, Index);
        Exchange(transfers, behind, pieces: int.MaxValue);
        Assert.Equal(Index, behind.Received!.Info.Index);
        Assert.Equal([(caughtUp.Id, false), (behind.Id, true)], _reported.OfType<SnapshotEvent.TransferEnded>().Select(end => (end.To, end.Succeeded)));
        Assert.True(transfers.IsEmpty);
    }

    [Fact]
    public void AWitness_GetsOnePieceWithoutABody_AndMakesTheFileItself()
    {
        using SnapshotTransfers transfers = Make(s_options);
        using var witness = new Peer(2);
        transfers.Begin(witness.Id, isWitness: true, indexMin: Index);

        SnapshotEvent.ChunkToSend piece = Assert.Single(Send(transfers));
        Assert.Equal((0ul, 0), (piece.Length, piece.Chunk.Length));
        transfers.Handle(witness.Answer(piece));

        Assert.True(Assert.Single(_reported.OfType<SnapshotEvent.TransferEnded>()).Succeeded);
        StoreView view = witness.Received!.Store.View;
        Assert.Equal((Index, true), (view.AppliedIndex, view.IsHollow));
        Assert.Equal(0, view.Index.LiveCount);
        Assert.True(witness.LoadNewest().IsHollow);
    }

    /// <summary>All transfers together keep to the rate; and they make use of it.</summary>
    [Fact]
    public void TheRateIsTheNodes_NotTheTransfers()
    {
        const int Rate = 10_000;
        using SnapshotTransfers transfers = Make(s_options with { BytesPerSecondMax = Rate, TransfersMax = 3 });
        Peer[] peers = [.. Enumerable.Range(2, 3).Select(id => new Peer((ulong)id))];
        foreach (Peer peer in peers)
        {
            transfers.Begin(peer.Id, isWitness: false, indexMin: Index);
        }

        long sent = 0;
        long start = _time.GetTimestamp();
        while (peers.Any(peer => peer.Received is null))
        {
            foreach (SnapshotEvent.ChunkToSend piece in Send(transfers).ToArray())
            {
                sent += piece.Chunk.Length;
                transfers.Handle(peers.Single(peer => peer.Id == piece.To).Answer(piece));
            }

            double seconds = (double)(_time.GetTimestamp() - start) / _time.TimestampFrequency;
            Assert.InRange(sent, (seconds * Rate) - ChunkBytes, (seconds * Rate) + (Rate / 10) + ChunkBytes);
            if (transfers.NextWake != long.MaxValue)
            {
                _time.Advance(TimeSpan.FromTicks((transfers.NextWake - _time.GetTimestamp() + 99) / 100));
            }
        }

        Assert.True(sent > 3 * Rate, $"{sent} bytes are too few to show anything");
        Array.ForEach(peers, peer => peer.Dispose());
    }

    private SnapshotTransfers Make(SnapshotOptions options) => new(_files, Group, options, _time, _reported.Add, () => _demanded++);

    /// <summary>The pieces that may go now.</summary>
    private IEnumerable<SnapshotEvent.ChunkToSend> Send(SnapshotTransfers transfers)
    {
        int before = _reported.Count;
        transfers.SendDue();
        return _reported.Skip(before).OfType<SnapshotEvent.ChunkToSend>();
    }

    /// <summary>Pieces go to and fro; so many of them at most. Returns where each began.</summary>
    private List<ulong> Exchange(SnapshotTransfers transfers, Peer peer, int pieces)
    {
        var offsets = new List<ulong>();
        while (offsets.Count < pieces && Send(transfers).FirstOrDefault() is { } piece)
        {
            offsets.Add(piece.Offset);
            transfers.Handle(peer.Answer(piece));
        }

        return offsets;
    }

    private void WriteSnapshot(ulong index)
    {
        var store = new MvccStore();
        for (int key = 0; key < 200; key++)
        {
            store.Put(store.Revision + 1, KeyOf(key), new byte[40], leaseId: 0);
            store.CommitRevision(store.Revision + 1);
        }

        store.Membership = new Membership([new NodeId(1), new NodeId(2)]);
        store.Publish(index, appliedTerm: 3);
        using SnapshotWriter file = _files.Create(Group, new SnapshotInfo(index, 3, MembershipCodec.Encode(store.View.Membership)));
        using var writer = new StoreSnapshotWriter(store, file.Write);
        while (writer.WriteSlice(int.MaxValue))
        {
            // It is one slice.
        }

        file.Complete();
    }

    private static byte[] KeyOf(int key) => [(byte)(key >> 8), (byte)key];

    /// <summary>One who receives, with a disk of its own.</summary>
    private sealed class Peer : IDisposable
    {
        private readonly SnapshotStore _own;
        private readonly SnapshotAssembly _assembly;

        public Peer(ulong id)
        {
            Id = new NodeId(id);
            _own = new SnapshotStore(new FaultyDisk(new Random((int)id)), "/peer", new WalIdentity(7, id));
            _assembly = new SnapshotAssembly(_own, Group, new InlineForkJoin(2));
        }

        public NodeId Id { get; }

        public SnapshotEvent.Received? Received { get; private set; }

        /// <summary>Takes a piece; the message with the answer.</summary>
        public Message Answer(SnapshotEvent.ChunkToSend piece)
        {
            SnapshotEvent[] events = [.. _assembly.Add(new Message
            {
                Kind = MessageKind.SnapshotChunk,
                From = new NodeId(1),
                To = Id,
                Index = new LogIndex(piece.Info.Index),
                LogTerm = new Term(piece.Info.Term),
                Membership = piece.Info.Configuration,
                ChunkOffset = piece.Offset,
                SnapshotLength = piece.Length,
                Chunk = piece.Chunk,
            })];
            Received = events.OfType<SnapshotEvent.Received>().SingleOrDefault() ?? Received;
            SnapshotEvent.ChunkAnswer answer = events.OfType<SnapshotEvent.ChunkAnswer>().Single();
            return new Message
            {
                Kind = MessageKind.SnapshotChunkReply,
                From = Id,
                To = answer.To,
                Index = answer.Index,
                ChunkOffset = answer.BytesHeld,
                Reject = answer.Reject,
            };
        }

        public StoreView LoadNewest()
        {
            using SnapshotReader reader = _own.OpenRead(Group, _own.List(Group)[0]);
            return new StoreSnapshotReader(reader.Read, Membership.Empty, InlineForkJoin.One).Read().View;
        }

        public void Dispose() => _assembly.Dispose();
    }
}
