using System.Buffers.Binary;
using System.Collections.Immutable;
using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Sessions;
using MetaStore.Raft;

namespace MetaStore.Engine.Snapshots;

/// <summary>Fills the buffer from the payload; fewer bytes only at its end.</summary>
internal delegate int SnapshotSource(Span<byte> buffer);

/// <summary>
/// Builds a store from the payload that <see cref="StoreSnapshotWriter"/> wrote. The bytes have passed the file's checksums; what
/// is checked here is their shape and order, so that a snapshot of a faulty writer is refused as well.
/// </summary>
internal sealed class StoreSnapshotReader(SnapshotSource source, Membership membership)
{
    /// <summary>Memory for so much is taken before the bytes are there.</summary>
    private const int TrustedBytes = 1 << 20;

    private readonly byte[] _number = new byte[sizeof(ulong)];
    private readonly Dictionary<long, ImmutableSortedSet<byte[]>.Builder> _attached = [];
    private readonly List<RestoredEvent> _changes = [];
    private readonly StoreMemory _memory = new();
    private long _oldestChange = long.MaxValue;
    private long _offset;

    /// <param name="change">Makes of the view that was read the one that the store is to have, of the same keys; null: as it was read.</param>
    /// <exception cref="SnapshotFormatException">The payload is not a snapshot that this program can read.</exception>
    public MvccStore Read(Func<StoreView, StoreView>? change = null)
    {
        uint format = UInt32();
        Require(format == StoreSnapshotWriter.Format, $"format {format}; this program reads format {StoreSnapshotWriter.Format}");
        uint flags = UInt32();
        Require((flags & ~StoreSnapshotWriter.HollowFlag) == 0, $"flags {flags:x} mean nothing in format {StoreSnapshotWriter.Format}");
        long revision = Int64();
        long compactRevision = Int64();
        ulong appliedIndex = UInt64();
        ulong appliedTerm = UInt64();
        ulong digest = UInt64();
        Require(compactRevision <= revision, $"compact revision {compactRevision} lies behind revision {revision}");
        var index = new KeyIndexBuilder(_memory);
        long newest = ReadKeys(index, revision, compactRevision);
        RequireChangesUpTo(revision);
        var events = new EventLog(_memory);
        events.Restore(_changes);
        if (KnownBugs.RevisionLostByCompaction)
        {
            revision = Math.Max(newest, Revision.First.Value);
        }

        var view = new StoreView
        {
            Revision = revision,
            CompactRevision = compactRevision,
            Index = index.Publish(),
            AppliedIndex = appliedIndex,
            AppliedTerm = appliedTerm,
            Digest = digest,
            Membership = membership,
            Sessions = ReadSessions(appliedIndex),
            Leases = ReadLeases(),
            IsHollow = flags != 0,
        };
        return new MvccStore(_memory, index, events, change?.Invoke(view) ?? view);
    }

    private long ReadKeys(KeyIndexBuilder index, long revision, long compactRevision)
    {
        ulong keys = 0;
        long newest = 0;
        byte[] last = [];
        for (uint keyLength = UInt32(); keyLength != StoreSnapshotWriter.EndOfKeys; keyLength = UInt32())
        {
            uint versions = UInt32();
            byte[] key = Bytes(keyLength);
            Require(last.AsSpan().SequenceCompareTo(key) < 0, "keys are out of order");
            Require(versions > 0, "a key has no version");
            VersionRecord head = ReadVersions(versions, revision);
            newest = Math.Max(newest, head.ModRevision);
            var record = KeyRecord.Create(_memory, key, head);
            index.Insert(record);
            Attach(key, head.LeaseId);
            for (VersionRecord version = head; !version.IsNull && version.ModRevision >= compactRevision; version = version.Previous)
            {
                _changes.Add(new RestoredEvent(version.ModRevision, version.Sub, record, version));
                _oldestChange = Math.Min(_oldestChange, version.ModRevision);
            }

            last = key;
            keys++;
        }

        ulong expected = UInt64();
        Require(keys == expected, $"{keys} keys where {expected} are announced");
        return newest;
    }

    /// <summary>
    /// Each revision behind the compacted one has changed something. The log of events has a place for each revision, so a few changes that lie far apart would have it take memory without end.
    /// </summary>
    private void RequireChangesUpTo(long revision) => Require(
        _changes.Count == 0 || (revision - _oldestChange) / EventSegment.Revisions <= _changes.Count,
        $"{_changes.Count} changes from revision {_oldestChange} to {revision}, each of which has changed something");

    /// <summary>Newest first, as they are written: each is put behind the one before.</summary>
    private VersionRecord ReadVersions(uint count, long revision)
    {
        VersionRecord head = default;
        VersionRecord last = default;
        long above = revision;
        for (uint i = 0; i < count; i++)
        {
            long mod = Int64();
            Require(mod > 0 && mod <= above, $"version at revision {mod} follows one at {above}");
            above = mod;
            VersionRecord version = ReadVersion(mod);
            if (last.IsNull)
            {
                head = version;
            }
            else
            {
                last.SetPrevious(version);
            }

            last = version;
        }

        return head;
    }

    private VersionRecord ReadVersion(long mod)
    {
        var head = new VersionHead(mod, UInt32(), Int64(), Int64(), Int64());
        uint length = UInt32();
        if (length > TrustedBytes)
        {
            // A wrong length ends in an error, not in a huge allocation.
            byte[] bytes = Bytes(length);
            var large = VersionRecord.Create(_memory, head, bytes.Length, default, out Span<byte> copy);
            bytes.CopyTo(copy);
            return large;
        }

        var version = VersionRecord.Create(_memory, head, (int)length, default, out Span<byte> value);
        Fill(value);
        return version;
    }

    private SessionTable ReadSessions(ulong appliedIndex)
    {
        ulong lastId = UInt64();
        var limits = new SessionLimits(UInt32(), UInt32(), UInt64());
        uint count = UInt32();
        Require(count <= limits.SessionsMax, $"{count} sessions where {limits.SessionsMax} are kept at most");
        var sessions = new List<Session>();
        ulong bytes = 0;
        for (uint i = 0; i < count; i++)
        {
            ulong id = UInt64();
            Require(id <= lastId && (i == 0 || id > sessions[^1].Id), $"session {id} is out of order or beyond the last one, {lastId}");
            sessions.Add(ReadSession(id, appliedIndex));
            bytes += sessions[^1].Bytes;
            Require(bytes <= limits.TotalBytesMax || count == 1, $"{bytes} bytes of sessions where {limits.TotalBytesMax} are kept at most");
        }

        return SessionTable.Restore(sessions, lastId, limits);
    }

    private Session ReadSession(ulong id, ulong appliedIndex)
    {
        ulong lastUsed = UInt64();
        Require(lastUsed <= appliedIndex, $"session {id} was used at index {lastUsed}, behind {appliedIndex}");
        ulong floor = UInt64();
        uint keptBytesMax = UInt32();
        uint count = UInt32();
        Require(count <= SessionRequest.UnacknowledgedMax, $"session {id} has {count} answers; {SessionRequest.UnacknowledgedMax} are kept at most");
        var session = Session.Restore(id, lastUsed, floor, keptBytesMax, ImmutableSortedDictionary<ulong, KeptAnswer>.Empty);
        ImmutableSortedDictionary<ulong, KeptAnswer>.Builder answers = ImmutableSortedDictionary.CreateBuilder<ulong, KeptAnswer>();
        long room = keptBytesMax;
        ulong last = 0;
        for (uint i = 0; i < count; i++)
        {
            ulong sequence = UInt64();
            Require(sequence > last && session.Takes(sequence), $"session {id}, floor {floor}: request {sequence} after {last} is out of order or of the window");
            var error = (MetaStoreError)UInt16();
            uint length = UInt32();
            Require(length <= Math.Min(room, SessionRequest.KeptAnswerBytesMax), $"session {id} has room for {room} bytes of answers, and one of {length}");
            byte[] answer = Bytes(length);
            answers.Add(sequence, new KeptAnswer(answer.Length == 0 ? null : answer, error));
            room -= length;
            last = sequence;
        }

        return Session.Restore(id, lastUsed, floor, keptBytesMax, answers.ToImmutable());
    }

    /// <summary>What the newest version of a key says is what counts; tombstones have no lease.</summary>
    private void Attach(byte[] key, long lease)
    {
        if (lease == 0)
        {
            return;
        }

        if (!_attached.TryGetValue(lease, out ImmutableSortedSet<byte[]>.Builder? keys))
        {
            _attached.Add(lease, keys = Lease.NoKeys.ToBuilder());
        }

        keys.Add(key);
    }

    private LeaseTable ReadLeases()
    {
        ulong lastDrawn = UInt64();
        var leases = ImmutableSortedDictionary.CreateBuilder<long, Lease>();
        long last = 0;
        for (uint left = UInt32(); left > 0; left--)
        {
            long id = Int64();
            Require(id > last, $"lease {id:x} follows {last:x}");
            last = id;
            long ttl = Int64();
            long remaining = Int64();
            Require(remaining >= 0 && remaining <= ttl, $"lease {id:x} has {remaining} ms of {ttl} left");
            byte flags = Byte();
            Require((flags & ~StoreSnapshotWriter.EndsWithLastKeyFlag) == 0, $"flags {flags:x} of a lease mean nothing in format {StoreSnapshotWriter.Format}");
            ImmutableSortedSet<byte[]> keys = _attached.Remove(id, out ImmutableSortedSet<byte[]>.Builder? attached) ? attached.ToImmutable() : Lease.NoKeys;
            leases.Add(id, new Lease(id, ttl, remaining, flags != 0, keys));
        }

        Require(_attached.Count == 0, $"keys belong to lease {_attached.Keys.FirstOrDefault():x}, which is not there");
        return new LeaseTable(leases.ToImmutable(), lastDrawn);
    }

    private byte Byte()
    {
        Fill(_number.AsSpan(0, 1));
        return _number[0];
    }

    private ushort UInt16()
    {
        Fill(_number.AsSpan(0, sizeof(ushort)));
        return BinaryPrimitives.ReadUInt16LittleEndian(_number);
    }

    private uint UInt32()
    {
        Fill(_number.AsSpan(0, sizeof(uint)));
        return BinaryPrimitives.ReadUInt32LittleEndian(_number);
    }

    private ulong UInt64()
    {
        Fill(_number);
        return BinaryPrimitives.ReadUInt64LittleEndian(_number);
    }

    private long Int64() => unchecked((long)UInt64());

    private byte[] Bytes(uint length)
    {
        Require(length <= Array.MaxLength, $"length {length} is beyond reason");

        // Grown as the bytes arrive: a wrong length ends in an error, not in a huge allocation.
        const int Step = 1 << 20;
        var bytes = new byte[Math.Min(length, Step)];
        int filled = 0;
        while (true)
        {
            Fill(bytes.AsSpan(filled));
            filled = bytes.Length;
            if (filled == length)
            {
                return bytes;
            }

            Array.Resize(ref bytes, (int)Math.Min(length, 2L * filled));
        }
    }

    private void Fill(Span<byte> buffer)
    {
        int read = buffer.IsEmpty ? 0 : source(buffer);
        Require(read == buffer.Length, "the payload ends too early");
        _offset += read;
    }

    private void Require(bool condition, string cause)
    {
        if (!condition)
        {
            throw new SnapshotFormatException($"{cause} (payload offset {_offset})");
        }
    }
}

/// <summary>A snapshot's payload is not what this program writes.</summary>
internal sealed class SnapshotFormatException(string message) : Exception(message);
