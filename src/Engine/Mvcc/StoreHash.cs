using System.Buffers.Binary;
using System.Numerics;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// The hash of a store at a revision (etcd's HashKV): CRC-32C over every version that is readable at some revision from the
/// compacted one to the hashed one. Which versions those are follows from replicated state, so how far a node has cut its history
/// makes no difference.
/// </summary>
internal static class StoreHash
{
    private const int StepsPerSection = 4096;

    /// <summary>Of a store whose history is held back by a pin from <paramref name="compacted"/> on.</summary>
    /// <exception cref="OperationCanceledException">Nobody wants it any more.</exception>
    public static uint Compute(MvccStore store, long revision, long compacted, CancellationToken cancellationToken = default) =>
        Compute(store, revision, compacted, cancellationToken.ThrowIfCancellationRequested);

    /// <summary>As the other; <paramref name="between"/> is called before each section, outside of the store's memory.</summary>
    public static uint Compute(MvccStore store, long revision, long compacted, Action between)
    {
        var place = new Place();
        while (place.Key is not null)
        {
            between();

            // A section at a time: what is retired meanwhile need not wait for the whole walk.
            using ReadSection section = store.Memory.Enter();
            var visitor = new Hasher(place, revision, compacted);
            store.View.Index.Scan(KeyRange.From(place.Key, new byte[] { 0 }), ref visitor);
            place = visitor.Place;
        }

        return ~place.Crc;
    }

    /// <summary>Where the next section begins. Versions that are held back by a pin stay where they are between two sections as well.</summary>
    private record struct Place()
    {
        /// <summary>The first key that was not hashed to its end; null at the end of all.</summary>
        public byte[]? Key { get; set; } = [0];

        /// <summary>Whether it was begun.</summary>
        public bool IsBegun { get; set; }

        /// <summary>What is left of it.</summary>
        public ReadableVersions Versions { get; set; }

        public uint Crc { get; set; } = uint.MaxValue;
    }

    private struct Hasher(Place begin, long revision, long compacted) : IRecordVisitor
    {
        private readonly Place _begin = begin;
        private bool _isContinued = begin.IsBegun;
        private int _left = StepsPerSection;

        /// <summary>Where the next section begins.</summary>
        public Place Place { get; private set; } = new() { Key = null, Crc = begin.Crc };

        public bool Visit(KeyRecord record)
        {
            Invariant.Check(!_isContinued || record.Key.SequenceEqual(_begin.Key), "a key that is half hashed is gone");
            ReadableVersions versions = _isContinued ? _begin.Versions : new ReadableVersions(record, revision, compacted);
            _isContinued = false;
            uint crc = Place.Crc;
            bool isBegun = --_left >= 0;
            bool isOver = isBegun && TryAdd(record.Key, ref versions, ref crc);

            // Only a key with something readable is half done, and that one stays where it is. One of which nothing was readable may be gone by then, and its versions with it.
            Place = isOver ? new Place { Key = null, Crc = crc } : new Place { Key = record.Key.ToArray(), IsBegun = isBegun, Versions = isBegun ? versions : default, Crc = crc };
            return isOver;
        }

        /// <summary>False where there are more of them than this section has left.</summary>
        private bool TryAdd(ReadOnlySpan<byte> key, ref ReadableVersions versions, ref uint crc)
        {
            while (versions.MoveNext())
            {
                VersionRecord version = versions.Current;
                crc = Add(crc, key);
                crc = BitOperations.Crc32C(crc, (ulong)version.ModRevision);
                crc = BitOperations.Crc32C(crc, (ulong)version.CreateRevision);
                crc = BitOperations.Crc32C(crc, (ulong)version.Version);
                crc = BitOperations.Crc32C(crc, (ulong)version.LeaseId);
                crc = Add(crc, version.Value);
                if (--_left < 0)
                {
                    return false;
                }
            }

            return true;
        }

        private static uint Add(uint crc, ReadOnlySpan<byte> bytes)
        {
            crc = BitOperations.Crc32C(crc, (uint)bytes.Length);
            while (bytes.Length >= sizeof(ulong))
            {
                crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
                bytes = bytes[sizeof(ulong)..];
            }

            foreach (byte value in bytes)
            {
                crc = BitOperations.Crc32C(crc, value);
            }

            return crc;
        }
    }
}

/// <summary>
/// The versions of a record that are readable somewhere in [compacted, revision], or were made there, newest first: what a read or a watch from the compacted revision on
/// needs.
/// </summary>
internal struct ReadableVersions(KeyRecord record, long revision, long compacted)
{
    private VersionRecord _next = record.Head;

    public VersionRecord Current { get; private set; }

    public readonly ReadableVersions GetEnumerator() => this;

    public bool MoveNext()
    {
        while (!_next.IsNull)
        {
            VersionRecord version = _next;
            long mod = version.ModRevision;
            VersionRecord previous = version.Previous;
            bool isLast = mod < compacted || (mod == compacted && (previous.IsNull || previous.ModRevision != compacted));
            _next = isLast ? default : previous;
            bool isNeeded = mod > compacted || (mod == compacted && !KnownBugs.DeletionAtCompactedRevisionForgotten) || !version.IsTombstone;
            if (mod <= revision && isNeeded)
            {
                Current = version;
                return true;
            }
        }

        return false;
    }
}
