using System.Buffers;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Peers;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net.Tests;

/// <summary>Frames as bytes: what was agreed on, what is refused, and what comes back.</summary>
public sealed class CodecTests
{
    private const int Rounds = 3000;
    private const int OperationsMax = 1000;

    [Fact]
    public void EveryRequestComesBackAsItWent()
    {
        for (int seed = 0; seed < Rounds; seed++)
        {
            StoreRequest request = Request(new Samples(seed), seed);
            FrameKind kind = KindOf(request);
            var body = new byte[RequestCodec.GetLength(kind, request)];
            RequestCodec.Write(body, kind, request, (uint)seed);
            object? back = RequestCodec.Read(kind, body, OperationsMax, out uint deadline);
            Assert.Equal((uint)seed, deadline);
            Assert.Equal(Samples.Show(request), Samples.Show(back));
        }

        var compact = new byte[RequestCodec.GetLength(FrameKind.Compact, new CompactRequest(new Revision(9)))];
        RequestCodec.Write(compact, FrameKind.Compact, new CompactRequest(new Revision(9)), 0);
        Assert.Equal(new CompactRequest(new Revision(9)), RequestCodec.Read(FrameKind.Compact, compact, 1, out _));
        Assert.Equal(new HashRequest(new Revision(9)), RequestCodec.Read(FrameKind.Hash, compact, 1, out _));
    }

    [Fact]
    public void MoreStalenessThanMayBeAskedFor_AndTextThatIsNone_AreRefused()
    {
        var range = new RangeRequest { Key = "a"u8.ToArray(), StalenessMax = RangeRequest.StalenessLimit };
        var body = new byte[RequestCodec.GetLength(FrameKind.Range, range)];
        RequestCodec.Write(body, FrameKind.Range, range, 0);
        Assert.Equal(RangeRequest.StalenessLimit, ((RangeRequest)RequestCodec.Read(FrameKind.Range, body, 1, out _)!).StalenessMax);
        int staleness = body.Length - (2 * sizeof(uint)) - 1 - sizeof(uint);
        body[staleness]++;
        Assert.Equal(MetaStoreError.InvalidArgument, Assert.Throws<WireFormatException>(() => RequestCodec.Read(FrameKind.Range, body, 1, out _)).Error);

        var error = new byte[NoticeCodec.GetErrorLength("é")];
        NoticeCodec.WriteError(error, MetaStoreError.Busy, Outcome.NotApplied, "é");
        Assert.Equal("é", NoticeCodec.ReadError(error).Message);
        error[^1] = (byte)'x';
        Assert.Throws<WireFormatException>(() => NoticeCodec.ReadError(error));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(717_761_676_613_721_728)]
    [InlineData(717_761_676_613_721_721)]
    public void AnAgeIsNeverSaidToBeLess(long ticks)
    {
        var answer = new RangeResponse { Staleness = new TimeSpan(ticks) };
        var body = new byte[ResponseCodec.GetLength(answer)];
        ResponseCodec.Write(body, answer);

        Assert.InRange(((RangeResponse)ResponseCodec.Read(FrameKind.RangeAnswer, body)).Staleness!.Value.Ticks, ticks, ticks + TimeSpan.TicksPerMicrosecond - 1);
    }

    [Theory]
    [InlineData(false, false, 100)]
    [InlineData(true, false, 0)]
    [InlineData(false, true, 255)]
    public void AChangeOfTheMembersComesBackAsItWent(bool isLearner, bool isWitness, byte priority)
    {
        foreach (MemberChange change in (MemberChange[])[
            new AddMember(["http://h:1", "http://h:2"], isLearner, isWitness, priority),
            new UpdateMember(9, ["http://h:1"], isLearner ? priority : null),
            new UpdateMember(9, [], priority),
            new PromoteMember(9),
            new PromoteMember(9, Replacing: 8),
            new RemoveMember(9)])
        {
            var call = new ClusterCall(change, 0, false);
            var body = new byte[RequestCodec.GetLength(FrameKind.Members, call)];
            RequestCodec.Write(body, FrameKind.Members, call, 0);
            Assert.Equal(Samples.Show(call), Samples.Show(RequestCodec.Read(FrameKind.Members, body, OperationsMax, out _)));
        }
    }

    [Fact]
    public void EveryAnswerComesBackAsItWent()
    {
        for (int seed = 0; seed < Rounds; seed++)
        {
            StoreResponse response = new Samples(seed).Response();
            var body = new byte[ResponseCodec.GetLength(response)];
            ResponseCodec.Write(body, response);
            Assert.Equal(Samples.Show(response), Samples.Show(ResponseCodec.Read(ResponseCodec.KindOf(response), body)));
        }
    }

    [Fact]
    public void AnErrorAndALeaderComeBackAsTheyWent()
    {
        foreach (MetaStoreError error in Enum.GetValues<MetaStoreError>())
        {
            var body = new byte[NoticeCodec.GetErrorLength("why ä")];
            NoticeCodec.WriteError(body, error, Outcome.Unknown, "why ä");
            MetaStoreException back = NoticeCodec.ReadError(body);
            Assert.Equal((error, Outcome.Unknown, "why ä"), (back.Error, back.Outcome, back.Message));
        }

        var leader = new byte[NoticeCodec.LeaderChangedSize];
        NoticeCodec.WriteLeaderChanged(leader, new NodeId(77));
        Assert.Equal(new NodeId(77), NoticeCodec.ReadLeaderChanged(leader));
        Assert.True(NoticeCodec.GetErrorLength(NoticeCodec.Shorten(string.Concat(Enumerable.Repeat("😀", 9999)))) <= ResponseCodec.TextBytesMax + 8);
    }

    /// <summary>Whatever comes, a decoder answers or throws its one exception, and never reserves more than a small multiple of the input.</summary>
    [Fact]
    public void ForeignBytesGiveOnlyTheNamedException()
    {
        int accepted = 0;
        for (int seed = 0; seed < Rounds; seed++)
        {
            var samples = new Samples(seed);
            StoreRequest request = Request(samples, seed);
            FrameKind kind = KindOf(request);
            var body = new byte[RequestCodec.GetLength(kind, request)];
            RequestCodec.Write(body, kind, request, 1);
            StoreResponse response = samples.Response();
            var answer = new byte[ResponseCodec.GetLength(response)];
            ResponseCodec.Write(answer, response);

            accepted += Survives(samples.Mutate(body), bytes => RequestCodec.Read(kind, bytes, OperationsMax, out _));
            accepted += Survives(samples.Mutate(answer), bytes => ResponseCodec.Read(ResponseCodec.KindOf(response), bytes));
            byte[] noise = samples.Noise(seed % 200);
            foreach (byte noiseKind in new byte[] { 0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 0x41, 0x42, 0x43, 0x44, 0x46, 0x47, 0x4a, 0x4b })
            {
                Survives(noise, bytes => RequestCodec.Read((FrameKind)noiseKind, bytes, OperationsMax, out _));
                Survives(noise, bytes => ResponseCodec.Read((FrameKind)noiseKind, bytes));
            }

            Survives(noise, bytes => NoticeCodec.ReadError(bytes));
            Survives(noise, bytes => NoticeCodec.ReadLeaderChanged(bytes));
            Survives(noise, bytes => PeerFrame.Read(bytes));
        }

        Assert.InRange(accepted, 100, Rounds); // the mutations are neither all fatal nor all harmless
    }

    [Fact]
    public void DamagedFramesAreFoundOut()
    {
        byte[] frame = Frame(FrameKind.Put, Support.Put("key", "value"));
        for (int bit = 0; bit < frame.Length * 8; bit++)
        {
            byte[] damaged = (byte[])frame.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            var splitter = new FrameSplitter(1 << 20);
            var buffer = new ReadOnlySequence<byte>(damaged);
            try
            {
                // A damaged length waits for more, or finds the rest too short for it; nothing passes as a frame.
                Assert.NotEqual(FrameFound.Frame, splitter.Next(ref buffer, out _, out _));
            }
            catch (WireFormatException)
            {
                Assert.True(true);
            }
        }
    }

    [Fact]
    public void FramesAreCutWhereverTheNetworkCutsThem()
    {
        byte[] both = [.. Frame(FrameKind.Put, Support.Put("key", "value")), .. Frame(FrameKind.Range, Support.Get("key"))];
        for (int cut = 0; cut <= both.Length; cut++)
        {
            var splitter = new FrameSplitter(1 << 20);
            var kinds = new List<FrameKind>();
            byte[] left = [];
            foreach (byte[] part in new[] { both[..cut], both[cut..] })
            {
                ReadOnlySequence<byte> buffer = Segment.Join(left, part);
                while (splitter.Next(ref buffer, out FrameHeader header, out ReadOnlySequence<byte> body) == FrameFound.Frame)
                {
                    kinds.Add(header.Kind);
                    RequestCodec.Read(header.Kind, body.ToArray(), 1, out _);
                }

                left = buffer.ToArray();
            }

            Assert.Equal([FrameKind.Put, FrameKind.Range], kinds);
        }
    }

    [Fact]
    public void AnOversizeFrameIsPassedOverWithoutItsBody()
    {
        byte[] large = Frame(FrameKind.Put, Support.Put("key", new string('x', 5000)));
        byte[] small = Frame(FrameKind.Range, Support.Get("key"));
        var splitter = new FrameSplitter(1000);
        var buffer = new ReadOnlySequence<byte>(large[..FrameHeader.Size]);
        Assert.Equal(FrameFound.TooLong, splitter.Next(ref buffer, out FrameHeader header, out _));
        Assert.Equal((FrameKind.Put, 5), (header.Kind, (int)header.Correlation));
        foreach (byte[] piece in large[FrameHeader.Size..].Chunk(700))
        {
            buffer = new ReadOnlySequence<byte>(piece);
            Assert.Equal(FrameFound.Incomplete, splitter.Next(ref buffer, out _, out _));
            Assert.True(buffer.IsEmpty);
        }

        buffer = new ReadOnlySequence<byte>(small);
        Assert.Equal(FrameFound.Frame, splitter.Next(ref buffer, out header, out _));
        Assert.Equal(FrameKind.Range, header.Kind);
    }

    [Fact]
    public void TransactionsHaveADepthAndASize()
    {
        TxnRequest nested = new();
        for (int depth = 1; depth < RequestCodec.TxnDepthMax; depth++)
        {
            nested = new TxnRequest { Success = [nested] };
        }

        var body = new byte[RequestCodec.GetLength(FrameKind.Txn, nested)];
        RequestCodec.Write(body, FrameKind.Txn, nested, 0);
        RequestCodec.Read(FrameKind.Txn, body, OperationsMax, out _);
        var tooDeep = new TxnRequest { Success = [nested] };
        var refused = Assert.Throws<MetaStoreException>(() => RequestCodec.GetLength(FrameKind.Txn, tooDeep));
        Assert.Equal(MetaStoreError.TooManyOperations, refused.Error);

        // A foreign client may send what ours does not: one level more, put around the outermost by hand.
        byte[] byHand = [.. body[..4], 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, (byte)FrameKind.Txn, .. body[4..]];
        Assert.Equal(MetaStoreError.TooManyOperations, Assert.Throws<WireFormatException>(() => RequestCodec.Read(FrameKind.Txn, byHand, OperationsMax, out _)).Error);

        var wide = new TxnRequest { Success = [.. Enumerable.Range(0, 11).Select(i => Support.Put($"k{i}"))] };
        body = new byte[RequestCodec.GetLength(FrameKind.Txn, wide)];
        RequestCodec.Write(body, FrameKind.Txn, wide, 0);
        RequestCodec.Read(FrameKind.Txn, body, 11, out _);
        Assert.Equal(MetaStoreError.TooManyOperations, Assert.Throws<WireFormatException>(() => RequestCodec.Read(FrameKind.Txn, body, 10, out _)).Error);
    }

    [Fact]
    public void ReadsAreToldFromWrites()
    {
        Assert.True(RequestCodec.IsReadOnly(Support.Get("a")));
        Assert.True(RequestCodec.IsReadOnly(new TxnRequest { Success = [new TxnRequest { Failure = [Support.Get("a")] }] }));
        Assert.False(RequestCodec.IsReadOnly(new TxnRequest { Success = [new TxnRequest { Failure = [Support.Put("a")] }] }));
        Assert.False(RequestCodec.IsReadOnly(new DeleteRangeRequest { Key = Support.Bytes("a") }));
    }

    internal static byte[] Frame(FrameKind kind, object? request, ulong correlation = 5)
    {
        var frame = new byte[FrameHeader.Size + RequestCodec.GetLength(kind, request)];
        RequestCodec.Write(frame.AsSpan(FrameHeader.Size), kind, request, 2000);
        FrameHeader.Seal(frame, correlation, kind);
        return frame;
    }

    private static FrameKind KindOf(StoreRequest request) => request switch
    {
        PutRequest => FrameKind.Put,
        RangeRequest => FrameKind.Range,
        DeleteRangeRequest => FrameKind.DeleteRange,
        SessionRequest => FrameKind.Session,
        _ => FrameKind.Txn,
    };

    private static StoreRequest Request(Samples samples, int seed) => seed % 4 == 0 ? samples.SessionRequest() : samples.Request();

    private static int Survives(byte[] bytes, Func<byte[], object?> read)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        int accepted = 0;
        try
        {
            read(bytes);
            accepted = 1;
        }
        catch (WireFormatException)
        {
            accepted = 0;
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000 + (100L * bytes.Length));
        return accepted;
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public static ReadOnlySequence<byte> Join(byte[] first, byte[] second)
        {
            var start = new Segment { Memory = first };
            var end = new Segment { Memory = second, RunningIndex = first.Length };
            start.Next = end;
            return new ReadOnlySequence<byte>(start, 0, end, second.Length);
        }
    }
}
