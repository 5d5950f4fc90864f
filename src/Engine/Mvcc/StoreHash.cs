using System.Buffers.Binary;
using System.Numerics;
using MetaStore.Engine.Index;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// The hash of a store at a revision (etcd's HashKV): CRC-32C over every version that is readable at some revision from the
/// compacted one to the hashed one. Which versions those are follows from replicated state, so how far a node has cut its history
/// makes no difference.
/// </summary>
internal static class StoreHash
{
    public static uint Compute(StoreView view, long revision)
    {
        var visitor = new Hasher(revision, view.CompactRevision);
        view.Index.Scan(KeyRange.From(new byte[] { 0 }, new byte[] { 0 }), ref visitor);
        return ~visitor.Crc;
    }

    /// <summary>
    /// The versions of a record that are readable somewhere in [compacted, revision], or were made there, newest first: what a read or a watch from the compacted revision on
    /// needs.
    /// </summary>
    public static IEnumerable<VersionRecord> Readable(KeyRecord record, long revision, long compacted)
    {
        for (VersionRecord? version = record.Head; version is not null; version = version.Previous)
        {
            if (version.ModRevision > revision)
            {
                continue;
            }

            if (version.ModRevision > compacted || (version.ModRevision == compacted && !KnownBugs.DeletionAtCompactedRevisionForgotten) || !version.IsTombstone)
            {
                yield return version;
            }

            if (version.ModRevision < compacted || (version.ModRevision == compacted && version.Previous?.ModRevision != compacted))
            {
                yield break;
            }
        }
    }

    private struct Hasher(long revision, long compacted) : IRecordVisitor
    {
        public uint Crc { get; private set; } = uint.MaxValue;

        public bool Visit(KeyRecord record)
        {
            foreach (VersionRecord version in Readable(record, revision, compacted))
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
