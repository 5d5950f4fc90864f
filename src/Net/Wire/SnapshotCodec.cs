namespace MetaStore.Net.Wire;

/// <summary>
/// Bodies of the frames of a snapshot. Their correlation is the snapshot's, as long as it lasts. Fixed-width little-endian. Part of the wire format: never renumber.
/// <code>
///  Snapshot        | credit u32                 (WatchCredit and WatchCancel with its correlation are about it)
///  SnapshotAnswer  | flags u8 (1: the last) | the next bytes of the file, to the end of the body
/// </code>
/// </summary>
internal static class SnapshotCodec
{
    public const int RequestSize = sizeof(uint);

    /// <summary>What a part takes besides its bytes.</summary>
    public const int PartOverhead = 1;

    private const byte Last = 1;

    public static void WriteRequest(Span<byte> body, uint credit)
    {
        var writer = new WireWriter(body);
        writer.WriteUInt32(credit);
        writer.End();
    }

    /// <summary>The credit.</summary>
    /// <exception cref="WireFormatException">The body is not that of a Snapshot.</exception>
    public static uint ReadRequest(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        uint credit = reader.ReadUInt32("snapshot.credit");
        reader.End();
        return credit;
    }

    public static void WritePart(Span<byte> body, SnapshotPart part)
    {
        var writer = new WireWriter(body);
        writer.WriteByte(part.IsLast ? Last : (byte)0);
        writer.WriteRaw(part.Bytes.Span);
        writer.End();
    }

    /// <exception cref="WireFormatException">The body is not that of a SnapshotAnswer.</exception>
    public static SnapshotPart ReadPart(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        byte flags = reader.ReadFlags(Last, "snapshot.flags");
        return new SnapshotPart(body[PartOverhead..], flags == Last);
    }
}

/// <summary>The next bytes of a snapshot.</summary>
/// <param name="Bytes">Them.</param>
/// <param name="IsLast">Nothing follows.</param>
internal sealed record SnapshotPart(ReadOnlyMemory<byte> Bytes, bool IsLast);
