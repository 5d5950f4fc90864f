using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// Term and vote of each group a second time, outside the log: <c>vote.a</c> and <c>vote.b</c>. A member whose log is damaged may lose entries,
/// which its peers have; nobody else has its vote, and with a forgotten one it could elect two leaders in one term.
/// <code>
///  offset  bytes
///       0      8  magic "METAVOT\n"
///       8      4  format version, 1
///      12      4  CRC-32C of bytes 0..11 and 16..end
///      16      8  cluster id
///      24      8  node id
///      32      8  number of the change; of two sound copies the one with the higher number counts
///      40      4  groups
///      44      4  zero
///      48         for each group, 24 bytes: id u32, zero u32, term u64, vote u64
/// </code>
/// Little-endian throughout. Part of the disk format: never renumber, never move.
/// <para>Both copies are written and synced, one after the other, before the log is written, and so before a vote or a new term is told to
/// anybody. So a copy that cannot be read, whether a write was torn or the disk lost it, never takes with it anything that was told: the other has it.</para>
/// </summary>
internal sealed class VoteFile : IDisposable
{
    public const int FixedBytes = 48;
    public const int GroupBytes = 24;
    public const uint Version = 1;
    public const ulong Magic = 0x0A544F564154454D; // "METAVOT\n"

    /// <summary>The two files within a data directory.</summary>
    public static readonly string[] FileNames = ["vote.a", "vote.b"];

    private const int CrcOffset = 12;

    private readonly IDisk _disk;
    private readonly string _directory;
    private readonly WalIdentity _identity;
    private readonly SortedDictionary<uint, TermVote> _groups;
    private readonly IDiskFile?[] _files = new IDiskFile?[FileNames.Length];
    private readonly int _newest;
    private ulong _number;

    private VoteFile(IDisk disk, string directory, WalIdentity identity, IReadOnlyList<VoteCopy> copies)
    {
        _disk = disk;
        _directory = directory;
        _identity = identity;
        VoteCopy? newest = copies.Where(copy => copy.IsSound).MaxBy(copy => copy.Number);
        _newest = newest is null ? 0 : copies.ToList().IndexOf(newest);
        _number = newest?.Number ?? 0;
        _groups = new SortedDictionary<uint, TermVote>(newest?.Groups.ToDictionary() ?? []);
        IsKnown = newest is not null;
    }

    /// <summary>Whether at least one of the copies was readable when this was opened.</summary>
    public bool IsKnown { get; }

    /// <summary>Term and vote of each group.</summary>
    public IReadOnlyDictionary<uint, TermVote> Groups => _groups;

    /// <summary>Reads both copies, and changes nothing.</summary>
    /// <exception cref="WalIdentityException">They are of another cluster or node.</exception>
    /// <exception cref="WalVersionException">They are of another version.</exception>
    public static VoteFile Read(IDisk disk, string directory, WalIdentity identity)
    {
        VoteCopy[] copies = [.. FileNames.Select(name => VoteCopy.Read(disk, Path.Combine(directory, name)))];
        foreach (VoteCopy copy in copies.Where(copy => copy.IsSound && copy.Identity != identity))
        {
            throw new WalIdentityException(copy.Path, copy.Identity, identity);
        }

        return new VoteFile(disk, directory, identity, copies);
    }

    /// <summary>What is wrong with one of the files; null where it is sound.</summary>
    public static string? DamageOf(IDisk disk, string path)
    {
        try
        {
            return VoteCopy.Read(disk, path).Damage;
        }
        catch (WalVersionException other)
        {
            return other.Message;
        }
    }

    /// <summary>
    /// Takes note of a group's term and vote, without writing it; older ones are passed over. True: it was news, and <see cref="Save"/> must be
    /// called before anybody is told.
    /// </summary>
    public bool Note(uint groupId, TermVote state)
    {
        TermVote known = _groups.GetValueOrDefault(groupId);
        bool isKept = state.Term != known.Term || state.Vote == 0 || known.Vote == 0 || state.Vote == known.Vote;
        Invariant.Check(isKept, $"group {groupId}: a vote for {state.Vote} in term {state.Term}, where {known.Vote} has it");
        if (!state.IsNewerThan(known))
        {
            return false;
        }

        _groups[groupId] = state;
        return true;
    }

    /// <summary>
    /// Makes what was noted durable in both copies. The one that was not the newest is written first: whatever is under way when the power
    /// fails, a sound copy with all that was told remains.
    /// </summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public void Save()
    {
        _number++;
        byte[] bytes = Encode();
        Write(1 - _newest, bytes);
        Write(_newest, bytes);
    }

    /// <summary>
    /// Writes both copies anew, whatever they hold: what was read may be in the system's cache only, and a copy that was not readable becomes so again.
    /// </summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public void Renew()
    {
        Save();
        _disk.SyncDirectory(_directory);
    }

    public void Dispose()
    {
        foreach (IDiskFile? file in _files)
        {
            file?.Dispose();
        }
    }

    private void Write(int copy, byte[] bytes)
    {
        IDiskFile file = _files[copy] ??= OpenOrCreate(Path.Combine(_directory, FileNames[copy]));
        if (file.Length > bytes.Length)
        {
            file.SetLength(bytes.Length);
        }

        file.Write(bytes, 0);
        file.SyncData();
    }

    private IDiskFile OpenOrCreate(string path)
    {
        if (_disk.FileExists(path))
        {
            return _disk.Open(path, readOnly: false);
        }

        IDiskFile file = _disk.Create(path);
        _disk.SyncDirectory(_directory);
        return file;
    }

    private byte[] Encode()
    {
        byte[] bytes = new byte[FixedBytes + (GroupBytes * _groups.Count)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), _identity.ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), _identity.NodeId);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(32), _number);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(40), _groups.Count);
        Span<byte> rest = bytes.AsSpan(FixedBytes);
        foreach ((uint groupId, TermVote state) in _groups)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rest, groupId);
            BinaryPrimitives.WriteUInt64LittleEndian(rest[8..], state.Term);
            BinaryPrimitives.WriteUInt64LittleEndian(rest[16..], state.Vote);
            rest = rest[GroupBytes..];
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcOffset), VoteCopy.Crc(bytes));
        return bytes;
    }

    /// <summary>One of the two files, as it was read.</summary>
    internal sealed record VoteCopy(string Path, WalIdentity Identity, ulong Number, IReadOnlyDictionary<uint, TermVote> Groups, string? Damage)
    {
        private const int BytesMax = 1 << 24;

        /// <summary>Whether it is there and its checksum holds.</summary>
        public bool IsSound => Damage is null;

        public static uint Crc(ReadOnlySpan<byte> bytes)
            => Checksum.Crc32C(Checksum.Crc32C(0, bytes[..CrcOffset]), bytes[(CrcOffset + sizeof(uint))..]);

        public static VoteCopy Read(IDisk disk, string path)
        {
            if (!disk.FileExists(path))
            {
                return Unreadable(path, "it is not there");
            }

            using IDiskFile file = disk.Open(path, readOnly: true);
            byte[] bytes = new byte[Math.Min(file.Length, BytesMax)];
            if (file.Read(bytes, 0) != bytes.Length
                || bytes.Length < FixedBytes
                || BinaryPrimitives.ReadUInt64LittleEndian(bytes) != Magic
                || BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(CrcOffset)) != Crc(bytes))
            {
                return Unreadable(path, "magic or checksum of a copy of term and vote");
            }

            uint version = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
            if (version != Version)
            {
                throw new WalVersionException(path, version, Version);
            }

            return Decode(path, bytes);
        }

        private static VoteCopy Decode(string path, byte[] bytes)
        {
            var groups = new Dictionary<uint, TermVote>();
            for (ReadOnlySpan<byte> rest = bytes.AsSpan(FixedBytes); rest.Length >= GroupBytes; rest = rest[GroupBytes..])
            {
                groups[BinaryPrimitives.ReadUInt32LittleEndian(rest)] = new TermVote(
                    BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]), BinaryPrimitives.ReadUInt64LittleEndian(rest[16..]));
            }

            bool isWhole = groups.Count == BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(40)) && bytes.Length == FixedBytes + (GroupBytes * groups.Count);
            var identity = new WalIdentity(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(16)), BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(24)));
            return isWhole
                ? new VoteCopy(path, identity, BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(32)), groups, null)
                : Unreadable(path, $"a copy of term and vote of {bytes.Length} bytes");
        }

        private static VoteCopy Unreadable(string path, string damage) => new(path, default, 0, new Dictionary<uint, TermVote>(), damage);
    }
}

/// <summary>What a member must not forget of its elections: its term, and its vote in it (0: none).</summary>
public readonly record struct TermVote(ulong Term, ulong Vote)
{
    /// <summary>Whether this was written later than the other: terms rise, and within one a vote is given once.</summary>
    public bool IsNewerThan(TermVote other) => Term > other.Term || (Term == other.Term && other.Vote == 0 && Vote != 0);
}
