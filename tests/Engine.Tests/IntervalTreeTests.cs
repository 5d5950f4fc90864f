using MetaStore.Engine.Watches;

namespace MetaStore.Engine.Tests;

/// <summary>The tree of ranges against a list that is searched from end to end.</summary>
public sealed class IntervalTreeTests
{
    [Theory]
    [InlineData(1, 4)]
    [InlineData(2, 20)]
    [InlineData(3, 200)]
    public void WhatHoldsAKey_IsFound_WhateverWasAddedAndRemoved(int seed, int keys)
    {
        var random = new Random(seed);
        var tree = new IntervalTree<Placed>();
        var model = new List<(byte[] Start, byte[]? End, Placed Item)>();
        var found = new List<Placed>();
        for (int step = 0; step < 5000; step++)
        {
            if (model.Count > 0 && random.Next(100) < (model.Count > 300 ? 60 : 40))
            {
                (byte[] start, byte[]? end, Placed item) = model[random.Next(model.Count)];
                tree.Remove(start, end, item);
                model.RemoveAll(entry => ReferenceEquals(entry.Item, item));
            }
            else
            {
                int first = random.Next(keys);
                byte[]? end = random.Next(8) == 0 ? null : Key(first + 1 + random.Next(keys));
                var item = new Placed();
                tree.Add(Key(first), end, item);
                model.Add((Key(first), end, item));
            }

            byte[] key = random.Next(2) == 0 ? Key(random.Next(2 * keys)) : [.. Key(random.Next(2 * keys)), 0];
            found.Clear();
            tree.Find(key, found);
            Placed[] expected = [.. model.Where(e => key.AsSpan().SequenceCompareTo(e.Start) >= 0 && (e.End is null || key.AsSpan().SequenceCompareTo(e.End) < 0)).Select(e => e.Item)];
            Assert.Equal(expected.Length, found.Count);
            Assert.Equal(expected.ToHashSet(), found.ToHashSet());
        }

        Assert.Equal(model.DistinctBy(e => (Convert.ToHexString(e.Start), e.End is null ? "end" : Convert.ToHexString(e.End))).Count(), tree.Count);
    }

    private static byte[] Key(int number) => [(byte)(number >> 8), (byte)number];

    private sealed class Placed : IPlaced
    {
        public int Place { get; set; }
    }
}
