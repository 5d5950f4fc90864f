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
    private const int KeysPerSection = 4096;

    /// <summary>Of a store whose history is held back by a pin from <paramref name="compacted"/> on.</summary>
    /// <exception cref="OperationCanceledException">Nobody wants it any more.</exception>
    public static uint Compute(MvccStore store, long revision, long compacted, CancellationToken cancellationToken = default)
    {
        uint crc = uint.MaxValue;
        byte[]? cursor = [0];
        while (cursor is not null)
        {
            cancellationToken.ThrowIfCancellationRequested();

            // A section at a time: what is retired meanwhile need not wait for the whole walk.
            using ReadSection section = store.Memory.Enter();
            var visitor = new Hasher(crc, revision, compacted);
            store.View.Index.Scan(KeyRange.From(cursor, new byte[] { 0 }), ref visitor);
            crc = visitor.Crc;
            cursor = visitor.Next;
        }

        return ~crc;
    }

    private struct Hasher(uint seed, long revision, long compacted) : IRecordVisitor
    {
        private int _left = KeysPerSection;

        public uint Crc { get; private set; } = seed;

        /// <summary>The first key that was not hashed; null at the end.</summary>
        public byte[]? Next { get; private set; }

        public bool Visit(KeyRecord record)
        {
            if (_left-- == 0)
            {
                Next = record.Key.ToArray();
                return false;
            }

            foreach (VersionRecord version in new ReadableVersions(record, revision, compacted))
            {
                Add(record.Key);
                Crc = BitOperations.Crc32C(Crc, (ulong)version.ModRevision);
                Crc = BitOperations.Crc32C(Crc, (ulong)version.CreateRevision);
                Crc = BitOperations.Crc32C(Crc, (ulong)version.Version);
                Crc = BitOperations.Crc32C(Crc, (ulong)version.LeaseId);
                Add(version.Value);
            }

            return true;
        }

        private void Add(ReadOnlySpan<byte> bytes)
        {
            uint crc = BitOperations.Crc32C(Crc, (uint)bytes.Length);
            while (bytes.Length >= sizeof(ulong))
            {
                crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
                bytes = bytes[sizeof(ulong)..];
            }

            foreach (byte value in bytes)
            {
                crc = BitOperations.Crc32C(crc, value);
            }

            Crc = crc;
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
