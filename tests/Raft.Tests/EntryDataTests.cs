using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>Where the data of a log's entries lies.</summary>
public sealed class EntryDataTests
{
    [Fact]
    public void Copies_AreWhatWasCopied_AndNoneIsWrittenOver()
    {
        var random = new Random(1);
        var memory = new EntryData();
        List<(byte[] Expected, ReadOnlyMemory<byte> Copy)> copies = [];
        for (int i = 0; i < 5_000; i++)
        {
            int length = random.Next(50) == 0 ? random.Next(3 * EntryData.LargeBytes) : random.Next(600);
            byte[] data = new byte[length];
            random.NextBytes(data);
            byte[] source = [.. data];
            copies.Add((data, memory.Copy(source)));
            source.AsSpan().Clear(); // The caller's own: it may do with it what it likes.
        }

        Assert.All(copies, pair => Assert.Equal(pair.Expected, pair.Copy.ToArray()));
    }

    [Fact]
    public void SmallData_SharesArrays_LargeDataHasItsOwn()
    {
        var memory = new EntryData();
        ReadOnlyMemory<byte> large = memory.Copy(new byte[EntryData.LargeBytes]);
        HashSet<byte[]> arrays = [];
        for (int i = 0; i < 10_000; i++)
        {
            arrays.Add(ArrayOf(memory.Copy(new byte[300])));
        }

        Assert.Equal(EntryData.LargeBytes, ArrayOf(large).Length);
        Assert.InRange(arrays.Sum(array => (long)array.Length), 3_000_000, 3_200_000);
        Assert.InRange(arrays.Count, 45, 55);
        Assert.InRange(arrays.Max(array => array.Length), 60_000, 84_999); // From 85,000 on they are large objects, which are collected seldom.
        Assert.Equal(4096, arrays.Min(array => array.Length));
    }

    [Fact]
    public void ALog_HoldsDataOfItsOwn_AndLetsGoOfWhatItForgot()
    {
        RaftLog log = NewLog();
        List<WeakReference> arrays = [];
        for (ulong index = 1; index <= 4_000; index++)
        {
            AppendAndMerge(log, index, arrays);
        }

        log.CommitThrough(new LogIndex(4_000));
        while (log.HasCommitted)
        {
            log.TakeCommitted(long.MaxValue);
        }

        log.AdvanceApplied(new LogIndex(4_000));
        log.Trim(new LogIndex(4_000), bytes: 100_000);

        GC.Collect();
        Assert.True(log.LastIndex.Value - log.FirstIndex.Value < 400, "the log forgot little");
        Assert.InRange(arrays.Count(array => array.IsAlive), 2, 3);
        Assert.Equal(300, log.EntryAt(log.FirstIndex)!.Value.Data.Length);
        Assert.All(log.Range(log.FirstIndex, log.LastIndex), entry => Assert.Equal((byte)entry.Index.Value, entry.Data.Span[299]));
    }

    [Fact]
    public void LargeData_StaysWhereItIs()
    {
        RaftLog log = NewLog();
        byte[] data = new byte[EntryData.LargeBytes];

        log.Append(new Entry(new Term(1), new LogIndex(1), EntryKind.Command, data));

        Assert.Same(data, ArrayOf(log.EntryAt(new LogIndex(1))!.Value.Data));
    }

    /// <summary>Alternately as a leader and as a follower adds; a method of its own, so that nothing of it is on the stack at the end.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AppendAndMerge(RaftLog log, ulong index, List<WeakReference> arrays)
    {
        byte[] source = new byte[300];
        source.AsSpan().Fill((byte)index);
        var entry = new Entry(new Term(1), new LogIndex(index), EntryKind.Command, source);
        if (index % 2 == 0)
        {
            log.Append(entry);
        }
        else
        {
            log.Merge([entry]);
        }

        source.AsSpan().Clear();
        byte[] array = ArrayOf(log.EntryAt(new LogIndex(index))!.Value.Data);
        if (arrays.Count == 0 || arrays[^1].Target != array)
        {
            arrays.Add(new WeakReference(array));
        }
    }

    private static RaftLog NewLog() => new(new WriteLedger(default, LogIndex.Zero), new Membership([new NodeId(1)]), snapshot: null, entries: [], LogIndex.Zero);

    private static byte[] ArrayOf(ReadOnlyMemory<byte> memory)
    {
        Assert.True(MemoryMarshal.TryGetArray(memory, out ArraySegment<byte> segment));
        return segment.Array!;
    }
}
