using System.Buffers;
using System.Buffers.Binary;
using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Sessions;

namespace MetaStore.Engine.Snapshots;

/// <summary>Takes the bytes of a snapshot in order.</summary>
internal delegate void SnapshotSink(ReadOnlySpan<byte> bytes);

/// <summary>
/// Streams one pinned view, slice by slice, while the store goes on. The bytes depend on replicated state only: two nodes at the
/// same applied index write the same payload.
/// <code>
/// payload := format:u32 (4)  flags:u32 (1: hollow, of a witness)  revision:i64  compactRevision:i64  appliedIndex:u64  appliedTerm:u64  digest:u64
///            key*  end:u32 (FFFFFFFF)  keys:u64  sessions  leases
/// key     := keyLength:u32 versions:u32 key version*           (newest first)
/// version := modRevision:i64 sub:u32 createRevision:i64 version:i64 lease:i64 valueLength:u32 value     (version 0: tombstone)
/// sessions := lastId:u64 sessionsMax:u32 sessionKeptBytesMax:u32 totalBytesMax:u64 count:u32 session*       (ids ascend)
/// session  := id:u64 lastUsed:u64 floor:u64 keptBytesMax:u32 answers:u32 answer*                             (numbers ascend)
/// answer   := sequence:u64 error:u16 answerLength:u32 answer    (see AnswerCodec; error and length 0: it was too large to keep)
/// leases  := drawn:u64 count:u32 lease*
/// lease   := id:i64 ttl:i64 remaining:i64 flags:u8 (1: ends with its last key)          (milliseconds; which keys are attached, the keys' newest versions say)
/// </code>
/// Little-endian, part of the disk format: never reorder. Checksums are the file's business, below.
/// </summary>
internal sealed class StoreSnapshotWriter : IDisposable
{
    public const uint Format = 4;
    public const uint HollowFlag = 1;
    public const byte EndsWithLastKeyFlag = 1;
    public const uint EndOfKeys = uint.MaxValue;

    private const int CountedPerSlice = 64 << 10;

    private readonly MvccStore _store;
    private readonly ViewPins.PinnedView _pin;
    private readonly SnapshotSink _sink;
    private readonly ArrayBufferWriter<byte> _buffer = new(64 << 10);
    private byte[]? _cursor = [0];

    // A key that is begun, and how far it has come. Its record and its readable versions stay where they are outside of a read section as well, as long as the view is pinned.
    private KeyRecord _record;
    private ReadableVersions _versions;
    private uint _counted;
    private uint? _versionsToWrite; // Null: they are being counted.
    private IEnumerator<ulong>? _tables;
    private ulong _keys;

    public StoreSnapshotWriter(MvccStore store, SnapshotSink sink)
        : this(store, store.Pins.Pin(store), sink)
    {
    }

    private StoreSnapshotWriter(MvccStore store, ViewPins.PinnedView pin, SnapshotSink sink)
    {
        _store = store;
        _pin = pin;
        _sink = sink;
        StoreView view = _pin.View;
        UInt32(Format);
        UInt32(view.IsHollow ? HollowFlag : 0);
        UInt64((ulong)view.Revision);
        UInt64((ulong)view.CompactRevision);
        UInt64(KnownBugs.AppliedIndexAheadOfData ? view.AppliedIndex + 1 : view.AppliedIndex);
        UInt64(view.AppliedTerm);
        UInt64(view.Digest);
    }

    public StoreView View => _pin.View;

    /// <summary>The same once more, from the beginning: the same bytes. To be used, and disposed, instead of this one.</summary>
    public StoreSnapshotWriter Again(SnapshotSink sink) => new(_store, _pin, sink);

    /// <summary>Writes on until about <paramref name="bytes"/> are written; false when the snapshot is complete.</summary>
    public bool WriteSlice(int bytes)
    {
        if (_tables is null)
        {
            WriteKeys(bytes);
        }

        bool isWhole = _tables is not null && !WriteTables(bytes);
        _sink(_buffer.WrittenSpan);
        _buffer.ResetWrittenCount();
        return !isWhole;
    }

    public void Dispose()
    {
        _tables?.Dispose();
        _pin.Dispose();
    }

    private void WriteKeys(int bytes)
    {
        using ReadSection section = _store.Memory.Enter();
        var visitor = new Encoder(this, bytes);

        // Today's index: it has all keys that the view had and that are readable in it, since the pin holds them back, and others, which are not.
        _store.View.Index.Scan(KeyRange.From(_cursor!, new byte[] { 0 }), ref visitor);
        _cursor = visitor.Next;
        if (_cursor is null)
        {
            UInt32(EndOfKeys);
            UInt64(_keys);
            _tables = Pieces(View.Sessions).Concat(Pieces(View.Leases)).GetEnumerator();
        }
    }

    /// <summary>False when all are written.</summary>
    private bool WriteTables(int bytes)
    {
        while (_buffer.WrittenCount < bytes)
        {
            if (!_tables!.MoveNext())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Writes a key, or what is left of it; false where the slice is full before its end.</summary>
    private bool TryAdd(KeyRecord record, int bytes)
    {
        if (_record.IsNull)
        {
            _record = record;
            _versions = ReadableOf(record);
            _versionsToWrite = null;
        }

        Invariant.Check(_record.Equals(record), "a key that is half written is gone");
        if (_versionsToWrite is null && !TryBegin())
        {
            return false;
        }

        for (; _versionsToWrite > 0; _versionsToWrite--)
        {
            if (_buffer.WrittenCount >= bytes)
            {
                return false;
            }

            bool isThere = _versions.MoveNext();
            Invariant.Check(isThere, $"{_versionsToWrite} versions that were counted are gone");
            Add(_versions.Current);
        }

        _record = default;
        return true;
    }

    /// <summary>Counts the versions, which the format has before them, and writes what stands before the first; false where there are so many that the next slice counts on.</summary>
    private bool TryBegin()
    {
        for (int looked = 0; _versions.MoveNext(); looked++)
        {
            _counted++;
            if (looked == CountedPerSlice)
            {
                return false;
            }
        }

        if (_counted > 0)
        {
            _keys++;
            UInt32((uint)_record.Key.Length);
            UInt32(_counted);
            _buffer.Write(_record.Key);
        }

        _versions = ReadableOf(_record);
        _versionsToWrite = _counted;
        _counted = 0;
        return true;
    }

    private ReadableVersions ReadableOf(KeyRecord record) => new(record, View.Revision, View.CompactRevision);

    private void Add(VersionRecord version)
    {
        UInt64((ulong)version.ModRevision);
        UInt32(version.Sub);
        UInt64((ulong)version.CreateRevision);
        UInt64((ulong)version.Version);
        UInt64((ulong)version.LeaseId);
        UInt32((uint)version.Value.Length);
        _buffer.Write(version.Value);
    }

    /// <summary>Writes the sessions, a piece at each step: what one session keeps is as much as a slice should be at most, and more.</summary>
    private IEnumerable<ulong> Pieces(SessionTable sessions)
    {
        UInt64(sessions.LastId);
        UInt32(sessions.Limits.SessionsMax);
        UInt32(sessions.Limits.SessionKeptBytesMax);
        UInt64(sessions.Limits.TotalBytesMax);
        UInt32((uint)sessions.Count);
        foreach (Session session in sessions.All)
        {
            UInt64(session.Id);
            UInt64(session.LastUsed);
            UInt64(session.Floor);
            UInt32(session.KeptBytesMax);
            UInt32((uint)session.Answers.Count);
            yield return session.Id;
            foreach ((ulong sequence, KeptAnswer kept) in session.Answers)
            {
                UInt64(sequence);
                BinaryPrimitives.WriteUInt16LittleEndian(_buffer.GetSpan(sizeof(ushort)), (ushort)kept.Error);
                _buffer.Advance(sizeof(ushort));
                UInt32((uint)kept.Length);
                _buffer.Write(kept.Answer);
                yield return sequence;
            }
        }
    }

    private IEnumerable<ulong> Pieces(LeaseTable leases)
    {
        UInt64(leases.LastDrawn);
        UInt32((uint)leases.Count);
        foreach (Lease lease in leases.All)
        {
            UInt64((ulong)lease.Id);
            UInt64((ulong)lease.TtlMilliseconds);
            UInt64((ulong)lease.RemainingMilliseconds);
            _buffer.Write([lease.EndsWithLastKey ? EndsWithLastKeyFlag : (byte)0]);
            yield return (ulong)lease.Id;
        }
    }

    private void UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.GetSpan(sizeof(uint)), value);
        _buffer.Advance(sizeof(uint));
    }

    private void UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer.GetSpan(sizeof(ulong)), value);
        _buffer.Advance(sizeof(ulong));
    }

    private struct Encoder(StoreSnapshotWriter owner, int bytes) : IRecordVisitor
    {
        /// <summary>The first key that was not written, or not to its end; null at the end.</summary>
        public byte[]? Next { get; private set; }

        public bool Visit(KeyRecord record)
        {
            if (owner._buffer.WrittenCount < bytes && owner.TryAdd(record, bytes))
            {
                return true;
            }

            Next = record.Key.ToArray();
            return false;
        }
    }
}
