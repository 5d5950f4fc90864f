using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Transactions;

/// <summary>
/// Copies of keys and their states, to be shown to a visitor after the store's memory was left: code of a user must not run inside, where it would hold back all memory
/// that goes out of use meanwhile (see <see cref="EpochDomain"/>). One is kept for each thread that visits; a visit within a visit has one of its own.
/// </summary>
internal sealed class VisitedItems : IDisposable
{
    private const int UsualBytes = 64 << 10;
    private const int ItemsMax = 256;

    [ThreadStatic]
    private static VisitedItems? t_spare;

    private readonly Head[] _heads = new Head[ItemsMax];
    private byte[] _bytes = GC.AllocateUninitializedArray<byte>(UsualBytes);
    private int _length;
    private int _count;

    private VisitedItems()
    {
    }

    public static VisitedItems Take()
    {
        VisitedItems items = t_spare ?? new VisitedItems();
        t_spare = null;
        return items;
    }

    /// <summary>Copies what lives at the revision, and looks at so many keys at most; returns the first that it did not come to, null where it came to the end.</summary>
    public byte[]? Fill(in KeyIndex index, in KeyRange range, long revision, int keysMax)
    {
        _length = 0;
        _count = 0;
        if (range.IsSingle)
        {
            TryAdd(index.Find(range.Start.Span), revision); // A large value, or one that was compacted the first time.
            return null;
        }

        var copier = new Copier(this, revision, keysMax);
        index.Scan(range, ref copier);
        return copier.Next;
    }

    /// <summary>Shows them in order; false where the visitor has seen enough.</summary>
    public bool ShowTo<TVisitor>(ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor
    {
        ReadOnlySpan<byte> rest = _bytes;
        foreach (ref readonly Head head in _heads.AsSpan(0, _count))
        {
            ReadOnlySpan<byte> key = rest[..head.KeyBytes];
            ReadOnlySpan<byte> value = rest.Slice(head.KeyBytes, head.ValueBytes);
            rest = rest[(head.KeyBytes + head.ValueBytes)..];
            if (!visitor.Visit(new KeyValueView(key, value, head.CreateRevision, head.ModRevision, head.Version, head.LeaseId)))
            {
                return false;
            }
        }

        return true;
    }

    public void Dispose()
    {
        if (_bytes.Length == UsualBytes)
        {
            t_spare = this;
        }
    }

    /// <summary>False where there is no room for it. The first always has room.</summary>
    private bool TryAdd(KeyRecord record, long revision)
    {
        VersionRecord version = record.ReadAt(revision);
        if (version.IsNull)
        {
            return true;
        }

        ReadOnlySpan<byte> key = record.Key;
        ReadOnlySpan<byte> value = version.Value;
        int bytes = key.Length + value.Length;
        if (bytes > _bytes.Length - _length || _count == _heads.Length)
        {
            if (_count > 0)
            {
                return false;
            }

            _bytes = GC.AllocateUninitializedArray<byte>(bytes);
        }

        key.CopyTo(_bytes.AsSpan(_length));
        value.CopyTo(_bytes.AsSpan(_length + key.Length));
        _heads[_count++] = new Head(version.CreateRevision, version.ModRevision, version.Version, version.LeaseId, key.Length, value.Length);
        _length += bytes;
        return true;
    }

    /// <summary>What there is of each but its bytes, which lie one behind the other.</summary>
    private readonly record struct Head(long CreateRevision, long ModRevision, long Version, long LeaseId, int KeyBytes, int ValueBytes);

    private struct Copier(VisitedItems items, long revision, int keysMax) : IRecordVisitor
    {
        private int _left = keysMax;

        /// <summary>The first that was not looked at, or for which there was no room; null at the end.</summary>
        public byte[]? Next { get; private set; }

        public bool Visit(KeyRecord record)
        {
            if (_left-- > 0 && items.TryAdd(record, revision))
            {
                return true;
            }

            Next = record.Key.ToArray();
            return false;
        }
    }
}
