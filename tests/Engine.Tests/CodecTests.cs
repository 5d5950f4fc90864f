using MetaStore.Engine.Leases;
using MetaStore.Engine.Replication;

namespace MetaStore.Engine.Tests;

public class CodecTests
{
    [Fact]
    public void A_batch_has_these_bytes()
    {
        var pool = new PendingOperationPool(runContinuationsAsynchronously: false);
        PendingOperation put = Operation(pool, new PutRequest { Key = "k"u8.ToArray(), Value = "vw"u8.ToArray(), LeaseId = 3, ReturnPrevious = true });
        PendingOperation delete = Operation(pool, new DeleteRangeRequest { Key = "a"u8.ToArray(), RangeEnd = "b"u8.ToArray() });
        byte[] bytes = CommandBatch.Encode(new BatchId(0x0102030405060708, 9), [put, delete]);
        Assert.Equal(
            "02" + "0807060504030201" + "0900000000000000" + "02000000"
            + "01" + "01" + "0300000000000000" + "01000000" + "6B" + "02000000" + "7677"
            + "03" + "00" + "01000000" + "61" + "01000000" + "62",
            Convert.ToHexString(bytes));
        Assert.Equal(new BatchId(0x0102030405060708, 9), CommandBatch.ReadId(bytes));
        Assert.Equal(2, CommandBatch.Decode(bytes).Length);
    }

    [Fact]
    public void A_transaction_and_a_range_have_these_bytes()
    {
        var txn = new TxnRequest
        {
            Compare = [new Compare { Key = "k"u8.ToArray(), Target = CompareTarget.ModRevision, Relation = CompareRelation.Less, Number = 5 }],
            Success = [new CompactRequest(new Revision(2))],
            Failure = [new RangeRequest { Key = "k"u8.ToArray(), Limit = 1, KeysOnly = true, SortTarget = SortTarget.Value, SortOrder = SortOrder.Descending }],
        };
        var bytes = new byte[StoreRequestCodec.GetLength(txn)];
        Assert.Equal(bytes.Length, StoreRequestCodec.Write(txn, bytes));
        Assert.Equal(
            "04" + "01000000" + "02" + "02" + "0500000000000000" + "01000000" + "6B" + "00000000" + "00000000"
            + "01000000" + "05" + "0200000000000000"
            + "01000000" + "02" + "04" + "04" + "02" + "0100000000000000" + new string('0', 16 * 5) + "01000000" + "6B" + "00000000",
            Convert.ToHexString(bytes));
    }

    [Fact]
    public void Requests_of_sessions_have_these_bytes()
    {
        Assert.Equal("07" + "02000000" + "03000000" + "0400000000000000", Written(new OpenSessionRequest(new SessionLimits(2, 3, 4))));
        Assert.Equal("08" + "0500000000000000", Written(new CloseSessionRequest(5)));
        var numbered = new SessionRequest { SessionId = 5, Sequence = 7, AcknowledgedBelow = 6, Request = new CompactRequest(new Revision(2)) };
        Assert.Equal("06" + "0500000000000000" + "0700000000000000" + "0600000000000000" + "05" + "0200000000000000", Written(numbered));

        static string Written(StoreRequest request)
        {
            var bytes = new byte[StoreRequestCodec.GetLength(request)];
            Assert.Equal(bytes.Length, StoreRequestCodec.Write(request, bytes));
            return Convert.ToHexString(bytes);
        }
    }

    [Fact]
    public void What_concerns_leases_has_these_bytes()
    {
        Same("01" + "08" + new string('0', 16) + "01000000" + "6B" + "00000000" + "DC05000000000000", new PutRequest { Key = "k"u8.ToArray(), TimeToLive = TimeSpan.FromSeconds(1.5) });
        Same("09" + "0A00000000000000" + "0700000000000000", new LeaseGrantRequest(10, 7));
        Same("0A" + "0700000000000000", new LeaseRevokeRequest(7));
        Same("0B" + "0300000000000000" + "02000000" + "0700000000000000" + "0800000000000000", new ExpireLeasesRequest(3, [7, 8]));
        Same("0C" + "0300000000000000" + "01000000" + "0700000000000000" + "E803000000000000", new CheckpointLeasesRequest(3, [new LeaseCheckpoint(7, 1000)]));
        Assert.Equal(
            "0500000000000000" + "02000000" + "01" + "0700000000000000" + "02" + "0800000000000000",
            Convert.ToHexString(LeaseMessageCodec.EncodeAsk(5, [(LeaseQuestion.KeepAlive, 7), (LeaseQuestion.TimeToLive, 8)])));
        byte[] reply = LeaseMessageCodec.EncodeReply(5, 9, [new LeaseFacts(2000, 1000)]);
        Assert.Equal("0500000000000000" + "0900000000000000" + "01000000" + "D007000000000000" + "E803000000000000", Convert.ToHexString(reply));
        Assert.Equal(new LeaseFacts(2000, 1000), Assert.Single(LeaseMessageCodec.DecodeReply(reply).Answers));

        static void Same(string expected, StoreRequest request)
        {
            var bytes = new byte[StoreRequestCodec.GetLength(request)];
            Assert.Equal(bytes.Length, StoreRequestCodec.Write(request, bytes));
            Assert.Equal(expected, Convert.ToHexString(bytes));
            StoreRequest read = StoreRequestCodec.Read(bytes, out int used);
            Assert.Equal((bytes.Length, request.GetType()), (used, read.GetType()));
            var again = new byte[bytes.Length];
            StoreRequestCodec.Write(read, again);
            Assert.Equal(bytes, again);
        }
    }

    [Fact]
    public void An_unknown_batch_version_is_refused_by_name()
    {
        RequestFormatException error = Assert.Throws<RequestFormatException>(() => CommandBatch.ReadId(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }));
        Assert.Equal("batch version 3; this program reads version 2", error.Message);
    }

    [Fact]
    public void Damaged_bytes_only_ever_give_the_named_exception_and_no_large_allocation()
    {
        var pool = new PendingOperationPool(runContinuationsAsynchronously: false);
        var txn = new TxnRequest { Success = [new PutRequest { Key = "k"u8.ToArray(), Value = new byte[40] }, new TxnRequest { Failure = [new DeleteRangeRequest { Key = "k"u8.ToArray() }] }] };
        byte[] sound = CommandBatch.Encode(new BatchId(1, 2), [Operation(pool, txn), Operation(pool, new CompactRequest(new Revision(4)))]);
        var random = new Random(3);
        int refused = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 50_000; i++)
        {
            byte[] damaged = random.Next(3) == 0 ? sound[..random.Next(sound.Length)] : (byte[])sound.Clone();
            for (int flips = random.Next(1, 4); flips > 0 && damaged.Length > 0; flips--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            try
            {
                CommandBatch.Decode(damaged);
            }
            catch (RequestFormatException)
            {
                refused++;
            }
        }

        long perDecode = (GC.GetAllocatedBytesForCurrentThread() - before) / 50_000;
        Assert.InRange(refused, 10_000, 50_000);
        Assert.InRange(perDecode, 0, 16_384);
    }

    private static PendingOperation Operation(PendingOperationPool pool, StoreRequest request)
    {
        PendingOperation operation = pool.Rent();
        operation.Begin(request, StoreRequestCodec.GetLength(request), 0, 0, queued: true, CancellationToken.None);
        return operation;
    }
}
