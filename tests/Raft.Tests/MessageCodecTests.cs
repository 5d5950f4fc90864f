using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>The wire format of messages: what is written is read again, and nothing else is taken for a message.</summary>
public sealed class MessageCodecTests
{
    [Fact]
    public void EveryKind_WithRandomFields_ReadsBackEqual()
    {
        var random = new Random(1);
        foreach (MessageKind kind in Enum.GetValues<MessageKind>())
        {
            for (int i = 0; i < 50; i++)
            {
                Message message = RandomMessage(random, kind);

                byte[] bytes = Encode(message);
                Message read = MessageCodec.Read(bytes);

                AssertSame(message, read);
                Assert.Equal(bytes, Encode(read));
            }
        }
    }

    [Fact]
    public void GoldenBytes_NeverChange()
    {
        var message = new Message
        {
            Kind = MessageKind.Append,
            From = new NodeId(0x0102030405060708),
            To = new NodeId(2),
            Term = new Term(3),
            Index = new LogIndex(4),
            LogTerm = new Term(5),
            Commit = new LogIndex(6),
            Reject = true,
            HintIndex = new LogIndex(7),
            HintTerm = new Term(8),
            Context = new ReadContext(9, 10),
            ChunkOffset = 11,
            SnapshotLength = 12,
            Round = 13,
            Silence = 16,
            IsTransfer = true,
            IsRecovering = true,
            Membership = new byte[] { 0xEE, 0xDD },
            Entries = [new Entry(new Term(14), new LogIndex(15), EntryKind.Command, new byte[] { 0xAA, 0xBB })],
            Chunk = new byte[] { 0xCC },
        };
        const string golden =
            "04" + "05" + "07" + "00" + "02000000" + "01000000" + "01000000"
            + "0807060504030201" + "0200000000000000" + "0300000000000000" + "0400000000000000"
            + "0500000000000000" + "0600000000000000" + "0700000000000000" + "0800000000000000"
            + "0900000000000000" + "0A00000000000000" + "0B00000000000000" + "0C00000000000000"
            + "0D00000000000000" + "1000000000000000"
            + "EEDD"
            + "0E00000000000000" + "0F00000000000000" + "02" + "02000000" + "AABB"
            + "CC";

        Assert.Equal(golden, Convert.ToHexString(Encode(message)));
        AssertSame(message, MessageCodec.Read(Convert.FromHexString(golden)));
    }

    [Fact]
    public void KindNumbers_NeverChange()
    {
        Assert.Equal(Enumerable.Range(1, 23), Enum.GetValues<MessageKind>().Select(kind => (int)kind));
        Assert.Equal(MessageKind.SnapshotChunkReply, (MessageKind)13);
        Assert.Equal(MessageKind.ForwardReply, (MessageKind)16);
        Assert.Equal(MessageKind.Quiesce, (MessageKind)18);
        Assert.Equal(MessageKind.Recover, (MessageKind)20);
        Assert.Equal(MessageKind.LeaseAsk, (MessageKind)22);
        Assert.Equal([1, 2, 3, 4], Enum.GetValues<EntryKind>().Select(kind => (int)kind));
    }

    [Fact]
    public void EveryTruncation_IsRefusedByName()
    {
        byte[] bytes = Encode(RandomMessage(new Random(2), MessageKind.Append));
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<MessageFormatException>(() => MessageCodec.Read(bytes.AsMemory(0, length)));
        }

        Assert.Throws<MessageFormatException>(() => MessageCodec.Read((byte[])[.. bytes, 0]));
    }

    [Theory]
    [InlineData(0, 3, "version 3")]
    [InlineData(1, 0, "kind 0")]
    [InlineData(1, 24, "kind 24")]
    [InlineData(2, 8, "Flags 08")]
    [InlineData(3, 1, "Flags 00 01")]
    [InlineData(7, 0x7F, "membership is said")]
    [InlineData(11, 0xFF, "entries do not fit")]
    [InlineData(15, 0xFF, "piece is said")]
    public void WhatIsWrong_IsSaid(int offset, byte value, string expected)
    {
        byte[] bytes = Encode(new Message { Kind = MessageKind.Heartbeat, From = new NodeId(1), To = new NodeId(2) });
        bytes[offset] = value;

        var exception = Assert.Throws<MessageFormatException>(() => MessageCodec.Read(bytes));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RandomDamage_IsEitherAMessageOrRefused_AndNeverAllocatesMoreThanIsThere()
    {
        var random = new Random(3);
        int refused = 0;
        byte[][] seeds = [.. Enum.GetValues<MessageKind>().Select(kind => Encode(RandomMessage(random, kind)))];
        _ = MessageCodec.Read(seeds[0]);
        for (int i = 0; i < 100_000; i++)
        {
            byte[] bytes = (byte[])seeds[random.Next(seeds.Length)].Clone();
            for (int damage = random.Next(1, 4); damage > 0; damage--)
            {
                // Mostly where the counts and lengths are.
                bytes[random.Next(random.Next(2) == 0 ? 16 : bytes.Length)] = (byte)random.Next(256);
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                Message message = MessageCodec.Read(bytes);
                Assert.Equal(bytes, Encode(message));
            }
            catch (MessageFormatException)
            {
                refused++;
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated < (bytes.Length * 16) + 4096, $"{allocated} bytes allocated for {bytes.Length}");
        }

        Assert.InRange(refused, 1000, 99_000);
    }

    [Fact]
    public void Data_IsShared_NotCopied()
    {
        byte[] bytes = Encode(new Message
        {
            Kind = MessageKind.Propose,
            From = new NodeId(1),
            To = new NodeId(2),
            Entries = [new Entry(Term.Zero, LogIndex.Zero, EntryKind.Command, new byte[] { 1 })],
        });

        Message read = MessageCodec.Read(bytes);
        bytes[^1] = 42;

        Assert.Equal(42, read.Entries[0].Data.Span[0]);
    }

    private static byte[] Encode(Message message)
    {
        var bytes = new byte[MessageCodec.GetLength(message)];
        Assert.Equal(bytes.Length, MessageCodec.Write(message, bytes));
        return bytes;
    }

    private static Message RandomMessage(Random random, MessageKind kind) => new()
    {
        Kind = kind,
        From = new NodeId((ulong)random.NextInt64()),
        To = new NodeId((ulong)random.NextInt64()),
        Term = new Term((ulong)random.NextInt64()),
        Index = new LogIndex(ulong.MaxValue - (ulong)random.Next(3)),
        LogTerm = new Term((ulong)random.NextInt64()),
        Commit = new LogIndex((ulong)random.NextInt64()),
        Reject = random.Next(2) == 1,
        HintIndex = new LogIndex((ulong)random.NextInt64()),
        HintTerm = new Term((ulong)random.NextInt64()),
        Context = new ReadContext((ulong)random.NextInt64(), (ulong)random.NextInt64()),
        ChunkOffset = (ulong)random.NextInt64(),
        SnapshotLength = (ulong)random.NextInt64(),
        Round = (ulong)random.NextInt64(),
        Silence = (ulong)random.NextInt64(),
        IsTransfer = random.Next(2) == 0,
        IsRecovering = random.Next(2) == 0,
        Membership = RandomBytes(random),
        Entries = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => RandomEntry(random))],
        Chunk = RandomBytes(random),
    };

    private static Entry RandomEntry(Random random) =>
        new(new Term((ulong)random.NextInt64()), new LogIndex((ulong)random.NextInt64()), (EntryKind)random.Next(1, 4), RandomBytes(random));

    private static byte[] RandomBytes(Random random)
    {
        var bytes = new byte[random.Next(20)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static void AssertSame(Message expected, Message actual)
    {
        // Records compare lists and memory by reference: compare what is in them, and then the rest.
        Assert.Equal(expected.Membership.ToArray(), actual.Membership.ToArray());
        Assert.Equal(expected.Chunk.ToArray(), actual.Chunk.ToArray());
        Assert.Equal(
            expected.Entries.Select(entry => (entry.Term, entry.Index, entry.Kind, Convert.ToHexString(entry.Data.Span))),
            actual.Entries.Select(entry => (entry.Term, entry.Index, entry.Kind, Convert.ToHexString(entry.Data.Span))));
        Assert.Equal(
            expected with { Membership = default, Entries = [], Chunk = default },
            actual with { Membership = default, Entries = [], Chunk = default });
    }
}
