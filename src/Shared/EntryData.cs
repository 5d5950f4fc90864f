namespace MetaStore;

/// <summary>
/// Where the data of a log's entries lies: one behind the other in arrays that they share. An entry stays in the log for minutes; with an array for each, thousands were still alive at every collection, and looking at each of
/// them and moving it, twice, was most of the collector's pauses under load.
/// <para>
/// Nothing is ever written over: who still holds the data of a forgotten entry, as a message under way does, keeps its array alive. So an array goes when the last of its entries is forgotten, and a log that forgets its
/// entries in order holds no more than one array beyond them. Not safe for several threads.
/// </para>
/// </summary>
internal sealed class EntryData
{
    /// <summary>From here on data has an array of its own: so much could be left over at the end of a shared one.</summary>
    public const int LargeBytes = ArrayBytesMax / 4;

    private const int ArrayBytesMin = 4 << 10; // Of the many groups on a host most are small.
    private const int ArrayBytesMax = 64 << 10; // Below what the runtime takes for large: it looks for dead large objects so seldom that they took 70 MiB more.

    private byte[] _array = [];
    private int _used;

    /// <summary>A copy of the data, in this memory.</summary>
    public ReadOnlyMemory<byte> Copy(ReadOnlySpan<byte> data)
    {
        if (data.Length >= LargeBytes)
        {
            return data.ToArray();
        }

        if (data.Length > _array.Length - _used)
        {
            int doubled = Math.Clamp(_array.Length * 2, ArrayBytesMin, ArrayBytesMax);
            _array = GC.AllocateUninitializedArray<byte>(Math.Max(doubled, data.Length));
            _used = 0;
        }

        Memory<byte> copy = _array.AsMemory(_used, data.Length);
        data.CopyTo(copy.Span);
        _used += data.Length;
        return copy;
    }
}
