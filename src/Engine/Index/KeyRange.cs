namespace MetaStore.Engine.Index;

/// <summary>A range of keys, decoded from etcd's convention once, at the door (see <see cref="StoreRequest"/>).</summary>
internal readonly struct KeyRange
{
    private KeyRange(ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end, bool isSingle, bool isUnbounded)
    {
        Start = start;
        End = end;
        IsSingle = isSingle;
        IsUnbounded = isUnbounded;
    }

    public ReadOnlyMemory<byte> Start { get; }

    /// <summary>The first key not included; meaningless where <see cref="IsSingle"/> or <see cref="IsUnbounded"/>.</summary>
    public ReadOnlyMemory<byte> End { get; }

    public bool IsSingle { get; }

    public bool IsUnbounded { get; }

    public bool IsEmpty => !IsSingle && !IsUnbounded && Start.Span.SequenceCompareTo(End.Span) >= 0;

    public static KeyRange From(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> rangeEnd)
    {
        if (rangeEnd.IsEmpty)
        {
            return new KeyRange(key, default, isSingle: true, isUnbounded: false);
        }

        bool unbounded = rangeEnd.Length == 1 && rangeEnd.Span[0] == 0;
        return new KeyRange(key, rangeEnd, isSingle: false, unbounded);
    }

    public bool Contains(ReadOnlySpan<byte> key)
    {
        if (IsSingle)
        {
            return key.SequenceEqual(Start.Span);
        }

        return key.SequenceCompareTo(Start.Span) >= 0 && IsBeforeEnd(key);
    }

    public bool Overlaps(in KeyRange other)
    {
        if (IsSingle)
        {
            return other.Contains(Start.Span);
        }

        if (other.IsSingle)
        {
            return Contains(other.Start.Span);
        }

        return !IsEmpty && !other.IsEmpty && IsBeforeEnd(other.Start.Span) && other.IsBeforeEnd(Start.Span);
    }

    /// <summary>Whether the key is not behind the end; of a range, not of a single key.</summary>
    public bool IsBeforeEnd(ReadOnlySpan<byte> key) => IsUnbounded || key.SequenceCompareTo(End.Span) < 0;
}
