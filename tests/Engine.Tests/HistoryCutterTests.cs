using System.Globalization;
using System.Text;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

/// <summary>What is cut, and in how small pieces. That nothing readable is missing the model test shows as well, by what clients see.</summary>
public class HistoryCutterTests
{
    private const int EventBlocks = 2;

    private readonly MvccStore _store = new();
    private ulong _applied;

    /// <summary>One key that was written over and over takes as many slices as many keys do.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(1000)]
    public void ASlice_GivesBackSoMuch_HoweverManyVersionsAKeyHas(int keys)
    {
        const int Puts = 20_000;
        const int Slice = 100;
        for (int i = 0; i < Puts; i++)
        {
            Put((i % keys).ToString(CultureInfo.InvariantCulture));
        }

        Compact(_store.Revision);
        int slices = 0;
        long before = _store.Memory.LiveBlocks;
        while (_store.Cutter.RunSlice(Slice))
        {
            long now = _store.Memory.LiveBlocks;
            Assert.InRange(before - now, 0, Slice + EventBlocks); // a version for each change, and at times what noted them
            before = now;
            slices++;
        }

        Assert.InRange(slices, Puts / Slice, (Puts / Slice) + 2);
        Assert.False(_store.Cutter.HasWork);
        IndexShape.Check(_store);
        Assert.Equal(keys, Versions());
    }

    /// <summary>What a reader held back is freed bit by bit when it leaves, and all of it in the end, whether anything is published or not.</summary>
    [Fact]
    public void WhatALongReaderHeldBack_IsFreedInPieces()
    {
        using (_store.Memory.Enter())
        {
            for (int i = 0; i < 50_000; i++)
            {
                Put("k");
            }

            Compact(_store.Revision);
            while (_store.Cutter.RunSlice(int.MaxValue))
            {
            }

            Assert.InRange(_store.Memory.Retired, 49_999, 60_000);
        }

        int rounds = 0;
        for (int left = _store.Memory.Retired; _store.Memory.Reclaim(); left = _store.Memory.Retired)
        {
            Assert.InRange(left - _store.Memory.Retired, 1, 5000);
            rounds++;
        }

        Assert.InRange(rounds, 10, 20);
        Assert.Equal(0, _store.Memory.Retired);
    }

    /// <summary>A revision that writes a key more than once tells of each; the next compaction lets go of all but the last.</summary>
    [Fact]
    public void SeveralChangesOfAKeyByTheCompactedRevision_AreKeptUntilTheNext()
    {
        Put("a");
        long revision = _store.Revision + 1;
        _store.Put(revision, "a"u8, [1], 0);
        _store.Delete(revision, _store.Unpublished.Find("a"u8));
        _store.Put(revision, "a"u8, [2], 0);
        _store.CommitRevision(revision);
        _store.Publish(++_applied, 1);

        Compact(revision);
        CutAll(1);
        Assert.Equal(3, Versions());
        Assert.Equal(3, _store.Events.Read(revision).Length);

        Put("b");
        Compact(_store.Revision);
        CutAll(1);
        Assert.Equal(2, Versions());
        IndexShape.Check(_store);
    }

    /// <summary>
    /// A hash is computed section by section, and between two of them the keys that are gone at the compacted revision are cut, which its pin does not hold back: also the one that the hash came to last, and what it was
    /// before is used again.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData(4097)]
    public void AHash_IsTheSame_WhateverIsCutMeanwhile(int liveBefore)
    {
        const int Dead = 10_000;
        for (int i = 0; i < liveBefore + Dead + 5000; i++)
        {
            Put($"{i:D6}");
        }

        for (int i = liveBefore; i < liveBefore + Dead; i++)
        {
            _store.Delete(_store.Revision + 1, _store.Unpublished.Find(Encoding.ASCII.GetBytes($"{i:D6}")));
            _store.CommitRevision(_store.Revision + 1);
        }

        Put("last");
        Compact(_store.Revision);
        long revision = _store.Revision;
        uint whole = StoreHash.Compute(_store, revision, revision);
        int sections = 0;
        uint cutMeanwhile = StoreHash.Compute(_store, revision, revision, () =>
        {
            if (++sections > 1)
            {
                CutAll(1000);
                Put("later");
                _store.Publish(++_applied, 1);
            }
        });
        Assert.True(sections > 2, $"the hash took {sections} sections");
        Assert.Equal(whole, cutMeanwhile);
        Assert.Equal(whole, StoreHash.Compute(_store, revision, revision));
    }

    /// <summary>A key of more versions than a section hashes is hashed to its end.</summary>
    [Fact]
    public void AHash_GoesOnWithinAKey()
    {
        for (int i = 0; i < 20_000; i++)
        {
            Put("hot");
        }

        Put("z");
        _store.Publish(++_applied, 1);
        int sections = 0;
        uint hash = StoreHash.Compute(_store, _store.Revision, 0, () => sections++);
        Assert.InRange(sections, 5, 8);
        Compact(_store.Revision);
        Assert.Equal(hash, StoreHash.Compute(_store, _store.Revision, 0));
        Assert.NotEqual(hash, StoreHash.Compute(_store, _store.Revision, _store.Revision));
    }

    /// <summary>Whatever is put, removed, compacted and cut in between, in slices of any size: what is left is what the compacted revision and those behind it need, and no more.</summary>
    [Theory]
    [InlineData(1, 20)]
    [InlineData(2, 20)]
    [InlineData(3, 3000)]
    public void NothingIsLeft_ButWhatCanBeReadOrWatched(int seed, int keys)
    {
        var random = new Random(seed);
        var history = new List<(long Revision, string Key, bool IsPut)>();
        for (int round = 0; round < 300; round++)
        {
            for (int i = random.Next(200); i > 0; i--)
            {
                history.AddRange(ChangeSomething(random, keys));
            }

            _store.Publish(++_applied, 1);
            if (_store.Revision > _store.CompactRevision && random.Next(3) == 0)
            {
                Compact(random.NextInt64(_store.CompactRevision + 1, _store.Revision + 1));
            }

            for (int slices = random.Next(5); slices > 0; slices--)
            {
                _store.Cutter.RunSlice(random.Next(1, 300));
            }
        }

        CutAll(7);
        (long Revision, string Key, bool IsPut)[][] byKey = [.. history.GroupBy(change => change.Key).Select(changes => changes.ToArray())];
        int needed = byKey.Sum(changes => Needed(changes, _store.CompactRevision));
        int replaced = byKey.Count(changes => BeginsWithAReplacedRemoval(changes, _store.CompactRevision));
        Assert.InRange(Versions(), needed, needed + replaced);
        IndexShape.Check(_store);
    }

    private IEnumerable<(long, string, bool)> ChangeSomething(Random random, int keys)
    {
        long revision = _store.Revision + 1;
        var changes = new List<(long, string, bool)>();
        for (int i = random.Next(5) == 0 ? 3 : 1; i > 0; i--)
        {
            string key = random.Next(keys).ToString(CultureInfo.InvariantCulture);
            KeyRecord record = _store.Unpublished.Find(Encoding.ASCII.GetBytes(key));
            bool isPut = record.IsNull || record.Head.IsTombstone || random.Next(2) == 0;
            if (isPut)
            {
                _store.Put(revision, Encoding.ASCII.GetBytes(key), new byte[random.Next(100)], 0);
            }
            else
            {
                _store.Delete(revision, record);
            }

            changes.Add((revision, key, isPut));
        }

        _store.CommitRevision(revision);
        return changes;
    }

    /// <summary>Of a key's changes, in order: all from the compacted revision on, and the one before where it can be read there.</summary>
    private static int Needed((long Revision, string Key, bool IsPut)[] changes, long compacted)
    {
        int first = FirstFrom(changes, compacted);
        bool isRead = first > 0 && (first == changes.Length || changes[first].Revision > compacted) && changes[first - 1].IsPut;
        return changes.Length - first + (isRead ? 1 : 0);
    }

    /// <summary>A removal goes with its key, or with the change that takes its place, where that comes before it is cut.</summary>
    private static bool BeginsWithAReplacedRemoval((long Revision, string Key, bool IsPut)[] changes, long compacted)
    {
        int first = FirstFrom(changes, compacted);
        return first > 0 && first < changes.Length && changes[first].Revision > compacted && !changes[first - 1].IsPut;
    }

    private static int FirstFrom((long Revision, string Key, bool IsPut)[] changes, long compacted)
    {
        int first = Array.FindIndex(changes, change => change.Revision >= compacted);
        return first < 0 ? changes.Length : first;
    }

    private void Put(string key)
    {
        long revision = _store.Revision + 1;
        _store.Put(revision, Encoding.ASCII.GetBytes(key), new byte[50], 0);
        _store.CommitRevision(revision);
    }

    private void Compact(long revision)
    {
        _store.Compact(revision);
        _store.Publish(++_applied, 1);
    }

    private void CutAll(int slice)
    {
        while (_store.Cutter.RunSlice(slice))
        {
        }
    }

    private int Versions()
    {
        using ReadSection section = _store.Memory.Enter();
        var counter = new Counter();
        _store.View.Index.Scan(Index.KeyRange.From(new byte[] { 0 }, new byte[] { 0 }), ref counter);
        return counter.Count;
    }

    private struct Counter : Index.IRecordVisitor
    {
        public int Count { get; private set; }

        public bool Visit(KeyRecord record)
        {
            for (VersionRecord version = record.Head; !version.IsNull; version = version.Previous)
            {
                Count++;
            }

            return true;
        }
    }
}
