using System.Buffers.Binary;
using System.Collections.Immutable;
using MetaStore.Engine.Index;
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
    private readonly byte[] _number = new byte[sizeof(ulong)];
    private readonly List<LoggedEvent> _changes = [];
    private long _offset;

    /// <exception cref="SnapshotFormatException">The payload is not a snapshot that this program can read.</exception>
    public MvccStore Read()
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
        var index = new KeyIndexBuilder();
        long newest = ReadKeys(index, revision, compactRevision);
        var events = new EventLog();
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
            Sessions = ReadSessions(),
            IsHollow = flags != 0,
        };
        return new MvccStore(index, view, events);
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
            var record = new KeyRecord(key, head);
            index.Insert(record);
            for (VersionRecord? version = head; version is not null && version.ModRevision >= compactRevision; version = version.Previous)
            {
                _changes.Add(new LoggedEvent(record, version));
            }

            last = key;
            keys++;
        }

        ulong expected = UInt64();
        Require(keys == expected, $"{keys} keys where {expected} are announced");
        return newest;
    }

    private VersionRecord ReadVersions(uint count, long revision)
    {
        var fields = new (long Mod, uint Sub, long Create, long Version, long Lease, byte[] Value)[Math.Min(count, 16)];
        int used = 0;
        long above = revision;
        for (uint i = 0; i < count; i++)
        {
            long mod = Int64();
            Require(mod > 0 && mod <= above, $"version at revision {mod} follows one at {above}");
            above = mod;
            if (used == fields.Length)
            {
                Array.Resize(ref fields, used * 2);
            }

            fields[used++] = (mod, UInt32(), Int64(), Int64(), Int64(), Bytes(UInt32()));
        }

        VersionRecord? head = null;
        for (int i = used - 1; i >= 0; i--)
        {
            (long mod, uint sub, long create, long version, long lease, byte[] value) = fields[i];
            head = new VersionRecord(mod, sub, create, version, lease, value, head);
        }

        return head!;
    }

    private SessionTable ReadSessions()
    {
        ulong lastId = UInt64();
        uint count = UInt32();
        var sessions = new List<Session>();
        for (uint i = 0; i < count; i++)
        {
            ulong id = UInt64();
            Require(id <= lastId && (i == 0 || id > sessions[^1].Id), $"session {id} is out of order or beyond the last one, {lastId}");
            sessions.Add(new Session(id, UInt64(), UInt64(), ReadAnswers()));
        }

        return SessionTable.Restore(sessions, lastId);
    }

    private ImmutableSortedDictionary<ulong, KeptAnswer> ReadAnswers()
    {
        ImmutableSortedDictionary<ulong, KeptAnswer>.Builder answers = ImmutableSortedDictionary.CreateBuilder<ulong, KeptAnswer>();
        for (uint left = UInt32(); left > 0; left--)
        {
            ulong sequence = UInt64();
            var error = (MetaStoreError)UInt16();
            byte[] answer = Bytes(UInt32());
            Require(answers.TryAdd(sequence, new KeptAnswer(answer.Length == 0 ? null : answer, error)), $"request {sequence} has two answers");
        }

        return answers.ToImmutable();
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
