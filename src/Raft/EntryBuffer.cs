namespace MetaStore.Raft;

/// <summary>What an entry counts for in every byte limit: its encoded size, so that entries without data are not free.</summary>
internal static class EntrySize
{
    /// <summary>Term, index, kind and length in the encoding of <see cref="MessageCodec"/>.</summary>
    public const int HeaderBytes = 8 + 8 + 1 + 4;

    public static int Of(in Entry entry) => HeaderBytes + entry.Data.Length;

    public static long Of(IReadOnlyList<Entry> entries)
    {
        long bytes = 0;
        for (int i = 0; i < entries.Count; i++)
        {
            bytes += Of(entries[i]);
        }

        return bytes;
    }
}

/// <summary>
/// A ring of consecutive entries that grows and shrinks at both ends. Beside each entry stands the running total of bytes,
/// so that the size of any range is one subtraction. Sizes derived this way cannot drift, which a counter kept up by hand can.
/// </summary>
internal sealed class EntryBuffer
{
    private Slot[] _slots = new Slot[16];
    private int _head;
    private ulong _bytesBefore;

    /// <summary>Entries held.</summary>
    public int Count { get; private set; }

    /// <summary>The entry at <paramref name="offset"/> from the front.</summary>
    public ref readonly Entry this[int offset] => ref SlotAt(offset).Entry;

    /// <summary>Adds one at the end.</summary>
    public void Add(in Entry entry)
    {
        if (Count == _slots.Length)
        {
            Grow();
        }

        ulong bytes = BytesThrough(Count - 1) + (ulong)EntrySize.Of(entry);
        Count++;
        SlotAt(Count - 1) = new Slot { Entry = entry, BytesThrough = bytes };
    }

    /// <summary>Puts another entry in place of one, leaving the sizes as they were.</summary>
    public void Replace(int offset, in Entry entry) => SlotAt(offset).Entry = entry;

    /// <summary>Keeps the first <paramref name="count"/>.</summary>
    public void Truncate(int count)
    {
        for (int offset = count; offset < Count; offset++)
        {
            SlotAt(offset) = default; // Lets go of the data.
        }

        Count = count;
    }

    /// <summary>Forgets the first <paramref name="count"/>.</summary>
    public void RemoveFront(int count)
    {
        if (count == 0)
        {
            return;
        }

        _bytesBefore = BytesThrough(count - 1);
        for (int offset = 0; offset < count; offset++)
        {
            SlotAt(offset) = default;
        }

        _head = (_head + count) & (_slots.Length - 1);
        Count -= count;
    }

    /// <summary>Bytes of all entries ever added up to and with the one at <paramref name="offset"/>; -1 asks for those before the front.</summary>
    public ulong BytesThrough(int offset) => offset < 0 ? _bytesBefore : SlotAt(offset).BytesThrough;

    /// <summary>A copy of a range; the data of the entries is shared.</summary>
    public Entry[] Copy(int offset, int count)
    {
        var copy = new Entry[count];
        for (int i = 0; i < count; i++)
        {
            copy[i] = SlotAt(offset + i).Entry;
        }

        return copy;
    }

    private ref Slot SlotAt(int offset)
    {
        Invariant.Check((uint)offset < (uint)Count, $"Offset {offset} of an entry buffer that holds {Count}.");
        return ref _slots[(_head + offset) & (_slots.Length - 1)];
    }

    private void Grow()
    {
        var grown = new Slot[_slots.Length * 2];
        for (int offset = 0; offset < Count; offset++)
        {
            grown[offset] = SlotAt(offset);
        }

        _slots = grown;
        _head = 0;
    }

    private struct Slot
    {
        public Entry Entry;
        public ulong BytesThrough;
    }
}
