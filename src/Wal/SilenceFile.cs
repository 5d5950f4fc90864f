using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// The file <c>silence</c>: how long a member that ran on this directory may have promised, to the leader that it heard of last, to help nobody else to office. Its next life keeps
/// that, whatever its own settings are: the leader may still count on it. Written before a longer time is promised; a shorter one takes its place once the longer has passed.
/// <code>
///  offset  bytes
///       0      8  magic "METASIL\n"
///       8      4  format version, 1
///      12      4  zero
///      16      8  microseconds, by the member's own clock
///      24      4  CRC-32C of the 24 bytes before it
/// </code>
/// Little-endian. Part of the disk format: never renumber, never move. Where there is none, nothing was promised.
/// </summary>
public static class SilenceFile
{
    /// <summary>The file within a data directory.</summary>
    internal const string FileName = "silence";

    private const ulong Magic = 0x0A4C49534154454D; // "METASIL\n"
    private const uint Version = 1;
    private const int Bytes = 28;
    private const int CrcOffset = 24;

    /// <summary>How long an earlier life may have promised; zero where nothing was.</summary>
    /// <exception cref="CorruptionException">The file is damaged.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static TimeSpan Read(IDisk disk, string directory)
    {
        ArgumentNullException.ThrowIfNull(disk);
        string path = Path.Combine(directory, FileName);
        byte[]? bytes = TryRead(disk, path);
        return bytes is null ? TimeSpan.Zero : TimeSpan.FromMicroseconds(Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(16)), (ulong)TimeSpan.MaxValue.TotalMicroseconds / 2));
    }

    /// <summary>From now on the member may promise so much, and no more.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public static void Write(IDisk disk, string directory, TimeSpan silence)
    {
        ArgumentNullException.ThrowIfNull(disk);
        byte[] bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), (ulong)Math.Ceiling(silence.TotalMicroseconds));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcOffset), Checksum.Crc32C(0, bytes.AsSpan(0, CrcOffset)));
        SmallFile.Publish(disk, directory, FileName, bytes);
    }

    /// <summary>What was promised is kept by time that passes, whether or not the member runs: so the one who finds the damage can say when it is over.</summary>
    private static byte[]? TryRead(IDisk disk, string path)
    {
        try
        {
            return SmallFile.TryRead(disk, path, Bytes, Magic, Version, "how long the member promised silence");
        }
        catch (CorruptionException damage)
        {
            throw new CorruptionException(
                path,
                damage.Offset,
                $"{damage.Cause}. It says for how long the member is not to vote after a start. Remove the file once the member has been stopped for longer than the longest "
                + "election timeout that it ever ran with, and start it again");
        }
    }
}
