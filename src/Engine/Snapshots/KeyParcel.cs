using System.Buffers.Binary;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// A piece of a snapshot's keys: its bytes, as they stand in the payload, and the records that are made of them. It ends behind a version, which need not be its key's last: one key may
/// have more history than there is room for in one piece.
/// </summary>
internal sealed class KeyParcel
{
    private const int KeptBytesMax = 1 << 20;
    private const int KeyHeadBytes = 8;
    private const int VersionHeadBytes = 40;
    private const int ValueLengthOffset = 36;

    private byte[] _bytes = [];
    private int _length;
    private long _offset;
    private uint _leftBefore;

    /// <summary>The keys that begin here, in the order of the payload.</summary>
    public List<KeyRecord> Keys { get; } = [];

    /// <summary>Those among them that belong to a lease.</summary>
    public List<KeyRecord> Leased { get; } = [];

    /// <summary>Its versions from the compacted revision on. Those of the key that began in an earlier piece come first, and without their key.</summary>
    public List<RestoredEvent> Changes { get; } = [];

    /// <summary>How many of the changes are of the key that began in an earlier piece.</summary>
    public int ChangesBefore { get; private set; }

    /// <summary>The oldest revision among the changes; <see cref="long.MaxValue"/> where there are none.</summary>
    public long OldestChange { get; private set; }

    /// <summary>The first version of the key that began in an earlier piece; null where there is none of it here.</summary>
    public VersionRecord First { get; private set; }

    /// <summary>The last version here.</summary>
    public VersionRecord Last { get; private set; }

    /// <summary>Reads the next piece, of one version at least. False where the keys end with it.</summary>
    /// <param name="input">The payload.</param>
    /// <param name="bytes">About how many, at most, unless one version alone is larger.</param>
    /// <param name="left">Versions of the last key that are still to come, before and after.</param>
    public bool Read(SnapshotInput input, int bytes, ref uint left)
    {
        _offset = input.Offset;
        _leftBefore = left;
        _length = input.ReadSome(ref _bytes, bytes);
        int end = 0; // of the last version that is here as a whole
        while (true)
        {
            int at = end;
            uint versions = left;
            if (versions == 0)
            {
                if (!Has(input, at, sizeof(uint), isFirst: end == 0))
                {
                    break;
                }

                uint keyLength = UInt32At(at);
                if (keyLength == StoreSnapshotWriter.EndOfKeys)
                {
                    EndAt(input, end, at + sizeof(uint));
                    return false;
                }

                if (!Has(input, at, KeyHeadBytes, end == 0) || !Has(input, at + KeyHeadBytes, keyLength, end == 0))
                {
                    break;
                }

                versions = UInt32At(at + sizeof(uint));
                if (versions == 0)
                {
                    throw Wrong("a key has no version", at);
                }

                at += KeyHeadBytes + (int)keyLength;
            }

            if (!Has(input, at, VersionHeadBytes, end == 0) || !Has(input, at + VersionHeadBytes, UInt32At(at + ValueLengthOffset), end == 0))
            {
                break;
            }

            end = at + VersionHeadBytes + (int)UInt32At(at + ValueLengthOffset);
            left = versions - 1;
        }

        EndAt(input, end, end);
        return true;
    }

    /// <summary>Makes the records of what was read last.</summary>
    /// <exception cref="SnapshotFormatException">The bytes are none that this program writes.</exception>
    public void Build(StoreMemory memory, long revision, long compactRevision)
    {
        Keys.Clear();
        Leased.Clear();
        Changes.Clear();
        First = default;
        Last = default;
        OldestChange = long.MaxValue;
        var bounds = new Bounds(revision, compactRevision);
        int at = 0;
        if (_leftBefore > 0)
        {
            First = BuildVersions(memory, ref at, _leftBefore, default, bounds);
        }

        ChangesBefore = Changes.Count;
        while (at < _length)
        {
            BuildKey(memory, ref at, bounds);
        }

        if (_bytes.Length > KeptBytesMax)
        {
            _bytes = []; // One large value is not kept in mind by each piece that came upon one.
        }
    }

    /// <summary>What is wrong at the beginning of the piece.</summary>
    public SnapshotFormatException WrongAtBegin(string cause) => Wrong(cause, 0);

    private void BuildKey(StoreMemory memory, ref int at, in Bounds bounds)
    {
        int begin = at;
        int keyLength = (int)UInt32(ref at);
        uint versions = UInt32(ref at);
        ReadOnlySpan<byte> key = _bytes.AsSpan(at, keyLength);
        at += keyLength;
        if (Keys.Count > 0 && Keys[^1].Key.SequenceCompareTo(key) >= 0)
        {
            throw Wrong("keys are out of order", begin);
        }

        var record = KeyRecord.Create(memory, key, default);
        record.Head = BuildVersions(memory, ref at, versions, record, bounds);
        Keys.Add(record);
        if (record.Head.LeaseId != 0)
        {
            Leased.Add(record);
        }
    }

    /// <summary>Newest first, as they are written: each is put behind the one before. Fewer than <paramref name="count"/> where the rest is not here.</summary>
    private VersionRecord BuildVersions(StoreMemory memory, ref int at, uint count, KeyRecord record, in Bounds bounds)
    {
        VersionRecord first = default;
        long above = bounds.Revision;
        for (uint i = 0; i < count && at < _length; i++)
        {
            int begin = at;
            VersionRecord version = BuildVersion(memory, ref at);
            long mod = version.ModRevision;
            if (mod <= 0 || mod > above)
            {
                throw Wrong($"version at revision {mod} follows one at {above}", begin);
            }

            above = mod;
            if (i == 0)
            {
                first = version;
            }
            else
            {
                Last.SetPrevious(version);
            }

            Last = version;
            if (mod >= bounds.CompactRevision)
            {
                Changes.Add(new RestoredEvent(mod, version.Sub, record, version));
                OldestChange = Math.Min(OldestChange, mod);
            }
        }

        return first;
    }

    private VersionRecord BuildVersion(StoreMemory memory, ref int at)
    {
        ReadOnlySpan<byte> bytes = _bytes.AsSpan(at);
        var head = new VersionHead(
            BinaryPrimitives.ReadInt64LittleEndian(bytes),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[12..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[20..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[28..]));
        int length = (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes[36..]);
        var version = VersionRecord.Create(memory, head, length, default, out Span<byte> value);
        bytes.Slice(VersionHeadBytes, length).CopyTo(value);
        at += VersionHeadBytes + length;
        return version;
    }

    /// <summary>Whether so many bytes are there. What stands first may be larger than a piece: it is read to its end.</summary>
    private bool Has(SnapshotInput input, int at, uint length, bool isFirst)
    {
        long missing = at + (long)length - _length;
        if (missing > 0 && isFirst)
        {
            _length = input.Append(ref _bytes, _length, missing);
        }

        return missing <= 0 || isFirst;
    }

    /// <summary>The piece ends here, and what was read behind it is somebody else's.</summary>
    private void EndAt(SnapshotInput input, int end, int next)
    {
        input.PutBack(_bytes.AsSpan(next, _length - next));
        input.Used(_bytes.AsSpan(0, next));
        _length = end;
    }

    private uint UInt32At(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(at));

    private uint UInt32(ref int at)
    {
        uint value = UInt32At(at);
        at += sizeof(uint);
        return value;
    }

    private SnapshotFormatException Wrong(string cause, int at) => SnapshotInput.Wrong(cause, _offset + at);

    private readonly record struct Bounds(long Revision, long CompactRevision);
}
