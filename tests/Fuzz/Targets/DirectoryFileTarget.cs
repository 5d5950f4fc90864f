using System.Buffers.Binary;
using MetaStore.Fuzz.Running;
using MetaStore.Testing;
using MetaStore.Wal;
using MetaStore.Wal.Tests;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// The small files of a data directory: its name, the two copies of term and vote, and what was promised. They are read or refused by name, and of the copies one that is damaged never counts.
/// Input: flags u8 (1: the checksum is mended; the next two bits: 0 the name, 1 one copy of the votes, 2 both, the second as it was, 3 the promise), bytes.
/// </summary>
internal sealed class DirectoryFileTarget : FuzzTarget
{
    private const int AllocationFactor = 16;

    private static readonly TermVote s_vote = new(5, 2);
    private static readonly TimeSpan s_promise = TimeSpan.FromSeconds(3);

    private readonly byte[] _name;
    private readonly byte[] _votes;
    private readonly byte[] _silence;

    public DirectoryFileTarget()
    {
        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory(TestLog.Directory);
        DirectoryIdentity.ReadOrCreate(disk, TestLog.Directory, TestLog.Identity, () => 77);
        _name = disk.ReadAllBytes(Path.Combine(TestLog.Directory, DirectoryIdentity.FileName));
        using VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
        votes.Note(1, s_vote);
        votes.Note(4, new TermVote(9, 0));
        votes.Save();
        _votes = disk.ReadAllBytes(PathOfVotes(0));
        SilenceFile.Write(disk, TestLog.Directory, s_promise);
        _silence = disk.ReadAllBytes(PathOfSilence);
    }

    public override string Name => "directory-files";

    public override int BytesMax => 512;

    public override IEnumerable<byte[]> Seeds()
    {
        yield return [1, .. _name];
        yield return [3, .. _votes];
        yield return [5, .. _votes];
        yield return [4, .. _votes];
        yield return [7, .. _silence];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        byte flags = reader.Byte();
        bool isMended = (flags & 1) != 0;
        int kind = (flags >> 1) % 4;
        byte[] bytes = reader.Rest.ToArray();
        if (isMended)
        {
            Mend(bytes, kind);
        }

        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory(TestLog.Directory);
        try
        {
            return AllocationBudget.Hold(bytes.Length, AllocationFactor, () => kind switch
            {
                0 => ReadName(disk, bytes, isMended),
                3 => ReadSilence(disk, bytes, isMended),
                _ => ReadVotes(disk, bytes, isMended, kind == 2),
            });
        }
        catch (Exception e) when (e is CorruptionException or WalIdentityException or WalVersionException)
        {
            return kind == 3 ? $"{kind} {e.GetType().Name}" : $"{kind} {Shape.Of(e)}"; // A damaged promise names the time at which it is over.
        }
    }

    private static string PathOfVotes(int copy) => Path.Combine(TestLog.Directory, VoteFile.FileNames[copy]);

    private static string PathOfSilence => Path.Combine(TestLog.Directory, SilenceFile.FileName);

    private static void Mend(byte[] bytes, int kind)
    {
        int sumAt = kind switch
        {
            0 => 40,
            3 => 24,
            _ => 12,
        };
        if (bytes.Length < sumAt + sizeof(uint))
        {
            return;
        }

        uint crc = kind is 0 or 3 ? Checksum.Crc32C(0, bytes.AsSpan(0, sumAt)) : Checksum.Crc32C(Checksum.Crc32C(0, bytes.AsSpan(0, sumAt)), bytes.AsSpan(sumAt + sizeof(uint)));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(sumAt), crc);
    }

    private string ReadName(FaultyDisk disk, byte[] bytes, bool isMended)
    {
        disk.WriteAllBytes(Path.Combine(TestLog.Directory, DirectoryIdentity.FileName), bytes);
        DirectoryIdentity read = DirectoryIdentity.TryRead(disk, TestLog.Directory) ?? throw new FuzzFailure("a name that is there is not read");
        FuzzFailure.Unless(isMended || bytes.AsSpan().SequenceEqual(_name), "a damaged name is read");
        return $"name {read.Identity == TestLog.Identity} {bytes.AsSpan().SequenceEqual(_name)}";
    }

    private string ReadSilence(FaultyDisk disk, byte[] bytes, bool isMended)
    {
        disk.WriteAllBytes(PathOfSilence, bytes);
        TimeSpan silence = SilenceFile.Read(disk, TestLog.Directory);
        FuzzFailure.Unless(isMended || silence == s_promise, "a damaged promise is read");
        FuzzFailure.Unless(silence >= TimeSpan.Zero, "a promise of less than nothing");
        return $"silence {silence == s_promise} {silence == TimeSpan.Zero} {silence > TimeSpan.FromDays(1)}";
    }

    private string ReadVotes(FaultyDisk disk, byte[] bytes, bool isMended, bool hasSound)
    {
        disk.WriteAllBytes(PathOfVotes(0), bytes);
        if (hasSound)
        {
            disk.WriteAllBytes(PathOfVotes(1), _votes);
        }

        using VoteFile votes = VoteFile.Read(disk, TestLog.Directory, TestLog.Identity);
        bool isDamaged = VoteFile.DamageOf(disk, PathOfVotes(0)) is not null;
        FuzzFailure.Unless(isMended || isDamaged || bytes.AsSpan().SequenceEqual(_votes), "a damaged copy is taken for a sound one");
        FuzzFailure.Unless(!hasSound || votes.IsKnown, "a sound copy is passed over");
        FuzzFailure.Unless(!isDamaged || votes.IsKnown == hasSound, "a damaged copy counts");
        FuzzFailure.Unless(!isDamaged || !hasSound || votes.Groups[1] == s_vote, "a vote is forgotten though a sound copy has it");
        return $"votes {isDamaged} {votes.IsKnown} {Shape.Size(votes.Groups.Count)}";
    }
}
