using System.Runtime.InteropServices;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

/// <summary>Native memory: where blocks come from, when they go back, and what is found out about whoever breaks the rules.</summary>
public sealed class MemoryTests
{
    [Fact]
    public void The_tests_run_with_the_checks_on() => Assert.True(MemoryChecks.Enabled);

    [Fact]
    public void Each_size_has_the_smallest_class_that_holds_it()
    {
        for (int bytes = 1; bytes <= SizeClasses.LargestBytes; bytes++)
        {
            int sizeClass = SizeClasses.Of(bytes);
            Assert.InRange(sizeClass, 0, SizeClasses.Count - 1);
            Assert.True(SizeClasses.BytesOf(sizeClass) >= bytes);
            Assert.True(sizeClass == 0 || SizeClasses.BytesOf(sizeClass - 1) < bytes);
            Assert.Equal(0, SizeClasses.BytesOf(sizeClass) % 16);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Blocks_do_not_overlap_and_keep_what_is_in_them(int seed)
    {
        var random = new Random(seed);
        using var arena = new NativeArena();
        var blocks = new List<(nint Address, int Bytes, byte Mark)>();
        for (int i = 0; i < 20_000; i++)
        {
            if (blocks.Count < 500 || random.Next(2) == 0)
            {
                int bytes = random.Next(20) == 0 ? random.Next(1, 100_000) : random.Next(1, 600);
                nint address = arena.Allocate(bytes);
                Assert.Equal(0, address % 16);
                byte mark = (byte)random.Next(256);
                Fill(address, bytes, mark);
                blocks.Add((address, bytes, mark));
            }
            else
            {
                int at = random.Next(blocks.Count);
                (nint address, int bytes, byte mark) = blocks[at];
                Assert.True(Holds(address, bytes, mark));
                arena.Free(address, bytes);
                blocks[at] = blocks[^1];
                blocks.RemoveAt(blocks.Count - 1);
            }
        }

        Assert.Equal(blocks.Count, arena.LiveBlocks);
        Assert.Equal(blocks.Sum(block => (long)block.Bytes), arena.LiveBytes);
        Assert.All(blocks, block => Assert.True(Holds(block.Address, block.Bytes, block.Mark)));
        Assert.InRange(arena.ReservedBytes, arena.LiveBytes, 40 << 20);
    }

    /// <summary>Values grow, shrink and grow again: what one size leaves behind serves the next.</summary>
    [Fact]
    public void Memory_that_one_size_has_left_serves_another()
    {
        const int Total = 16 << 20;
        using var arena = new NativeArena();
        long most = 0;
        foreach (int bytes in (int[])[100, 300, 40, 600, 200, 500, 24])
        {
            var blocks = new nint[Total / bytes];
            for (int i = 0; i < blocks.Length; i++)
            {
                blocks[i] = arena.Allocate(bytes);
            }

            most = Math.Max(most, arena.ReservedBytes);
            Array.ForEach(blocks, block => arena.Free(block, bytes));
        }

        Assert.Equal(0, arena.LiveBlocks);
        Assert.InRange(most, Total, 3L * Total); // Twice what is asked for, for the smallest, since the checks are on. All of them together would take nine times as much.
    }

    /// <summary>What an arena takes over it holds as if it had handed it out itself: the other one's pages, those it never began, and large blocks.</summary>
    [Fact]
    public void An_arena_takes_over_what_another_one_holds()
    {
        var random = new Random(3);
        using var arena = new NativeArena();
        var blocks = new List<(nint Address, int Bytes, byte Mark)>();
        for (int round = 0; round < 4; round++)
        {
            using var other = new NativeArena();
            for (int i = 0; i < 3000; i++)
            {
                int bytes = random.Next(50) == 0 ? random.Next(1, 100_000) : random.Next(1, 600);
                NativeArena from = i % 2 == 0 ? arena : other;
                nint address = from.Allocate(bytes);
                if (i % 3 == 0)
                {
                    from.Free(address, bytes);
                    continue;
                }

                Fill(address, bytes, (byte)i);
                blocks.Add((address, bytes, (byte)i));
            }

            long reserved = arena.ReservedBytes + other.ReservedBytes;
            arena.Adopt(other);
            Assert.Equal((blocks.Count, blocks.Sum(block => (long)block.Bytes)), (arena.LiveBlocks, arena.LiveBytes));
            Assert.Equal(reserved, arena.ReservedBytes);
            Assert.Throws<InvariantException>(() => other.Allocate(1));
        }

        Assert.All(blocks, block => Assert.True(Holds(block.Address, block.Bytes, block.Mark)));
        foreach ((nint address, int bytes, _) in blocks)
        {
            arena.Free(address, bytes);
        }

        Assert.Equal((0, 0), (arena.LiveBlocks, arena.LiveBytes));
    }

    [Fact]
    public void Pages_of_an_arena_that_was_taken_over_serve_any_size()
    {
        using var arena = new NativeArena();
        using var other = new NativeArena();
        nint[] passing = [.. Enumerable.Range(0, 40_000).Select(_ => other.Allocate(700))];
        Array.ForEach(passing, address => other.Free(address, 700));
        arena.Adopt(other);
        long before = arena.ReservedBytes;
        foreach (int _ in Enumerable.Range(0, 100_000))
        {
            arena.Allocate(200);
        }

        Assert.Equal(before, arena.ReservedBytes);
    }

    [Fact]
    public void What_was_freed_before_its_arena_was_taken_over_is_watched_after_it()
    {
        using var arena = new NativeArena();
        using var other = new NativeArena();
        nint address = other.Allocate(64);
        other.Free(address, 64);
        arena.Adopt(other);
        Fill(address, 1, 1);
        Assert.Contains("after it had been freed", Assert.Throws<InvariantException>(() =>
        {
            for (int i = 0; i < 10_000; i++)
            {
                arena.Free(arena.Allocate(64), 64);
            }
        }).Message);
    }

    [Fact]
    public void A_block_that_is_used_after_it_was_freed_is_found()
    {
        using var memory = new StoreMemory();
        var record = KeyRecord.Create(memory, "key"u8, default);
        Assert.Equal("key"u8, record.Key);
        record.Retire(memory);
        Assert.Equal("key"u8, record.Key); // Nobody has published yet: a reader may still be there.
        memory.Published();
        Assert.Contains("after it was freed", Assert.Throws<InvariantException>(() => record.Key.ToArray()).Message);
    }

    [Fact]
    public void A_block_that_is_freed_twice_is_found()
    {
        using var memory = new StoreMemory();
        nint address = memory.Allocate(24);
        memory.Free(address, 24);
        Assert.Contains("after it was freed", Assert.Throws<InvariantException>(() => memory.Free(address, 24)).Message);
    }

    [Fact]
    public void A_block_that_is_freed_as_another_is_found()
    {
        using var memory = new StoreMemory();
        nint address = memory.Allocate(24);
        Assert.Contains("of 24 bytes is freed as one of 25", Assert.Throws<InvariantException>(() => memory.Free(address, 25)).Message);
        Assert.Contains("no block's", Assert.Throws<InvariantException>(() => memory.Free(address + 16, 8)).Message);
    }

    [Fact]
    public void A_write_beyond_a_block_is_found()
    {
        using var memory = new StoreMemory();
        nint address = memory.Allocate(24);
        Marshal.WriteByte(address, 24, 0x77);
        Assert.Contains("written behind a block", Assert.Throws<InvariantException>(() => memory.Free(address, 24)).Message);
    }

    [Fact]
    public void A_write_to_a_freed_block_is_found_when_its_turn_comes()
    {
        using var memory = new StoreMemory();
        nint first = memory.Allocate(64);
        memory.Free(first, 64);
        Marshal.WriteByte(first, 7, 1);
        Assert.Contains("written to after it had been freed", Assert.Throws<InvariantException>(() =>
        {
            for (int i = 0; i < 10_000; i++)
            {
                memory.Free(memory.Allocate(64), 64);
            }
        }).Message);
    }

    [Fact]
    public void What_is_retired_stays_until_the_last_reader_that_may_know_of_it_has_left()
    {
        using var memory = new StoreMemory();
        nint block = memory.Allocate(32);
        long blocks = memory.LiveBlocks;
        ReadSection early = memory.Enter();
        ReadSection other = memory.Enter();
        memory.Retire(block, 32);
        memory.Published();
        Assert.Equal((1, blocks), (memory.Retired, memory.LiveBlocks));

        ReadSection late = memory.Enter(); // It cannot know of the block.
        early.Dispose();
        memory.Reclaim();
        Assert.Equal(1, memory.Retired);
        other.Dispose();
        memory.Reclaim();
        Assert.Equal((0, blocks - 1), (memory.Retired, memory.LiveBlocks));
        late.Dispose();
    }

    [Fact]
    public void There_is_a_place_for_many_readers_at_once()
    {
        using var memory = new StoreMemory();
        var epochs = new EpochDomain();
        int[] places = [.. Enumerable.Range(0, EpochDomain.Slots).Select(_ => epochs.Enter())];
        Assert.Equal(EpochDomain.Slots, places.Distinct().Count());
        Assert.Equal(0, epochs.SafeThrough());
        long ended = epochs.Advance();
        Assert.True(epochs.SafeThrough() < ended);
        Array.ForEach(places, epochs.Leave);
        Assert.Equal(ended, epochs.SafeThrough());
    }

    /// <summary>The memory of a store that nobody refers to any more goes back by itself.</summary>
    [Fact]
    public void A_store_that_was_exchanged_gives_its_memory_back()
    {
        WeakReference slab = FillAndDrop();
        for (int i = 0; i < 10 && slab.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(slab.IsAlive);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static WeakReference FillAndDrop()
    {
        var store = new MvccStore();
        for (int i = 0; i < 1000; i++)
        {
            store.Put(i + 2, BitConverter.GetBytes(i), new byte[1000], 0);
            store.CommitRevision(i + 2);
        }

        store.Publish(1, 1);
        Assert.InRange(store.Memory.ReservedBytes, 1_000_000, 10_000_000);
        return new WeakReference(store.Memory);
    }

    private static void Fill(nint address, int bytes, byte mark)
    {
        for (int i = 0; i < bytes; i++)
        {
            Marshal.WriteByte(address, i, mark);
        }
    }

    private static bool Holds(nint address, int bytes, byte mark) => Enumerable.Range(0, bytes).All(i => Marshal.ReadByte(address, i) == mark);

    /// <summary>So many keys does one removal end in a store of some dozen gigabytes. Their list has two gigabytes, and it has to grow beyond that.</summary>
    [SkippableFact]
    public void The_events_of_a_revision_may_take_more_bytes_than_an_int_counts()
    {
        Skip.If(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes < 8L << 30, "takes four gigabytes; run it on a machine with eight");
        const int Count = (1 << 26) + 1;
        using var memory = new StoreMemory();
        EventSegment segment = EventSegment.Create(memory, 0);
        for (int i = 0; i < Count; i++)
        {
            segment.Append(memory, i == Count - 1 ? 2 : 1, new LoggedEvent(new KeyRecord(i), default));
        }

        Assert.Equal(Count - 1, segment.Read(1).Length);
        Assert.Equal(Count - 2, segment.Read(1)[^1].Record.Address);
        Assert.Equal(Count - 1, segment.Read(2)[0].Record.Address);
        segment.Retire(memory);
        memory.Published();
        Assert.Equal(0, memory.LiveBlocks);
    }
}
