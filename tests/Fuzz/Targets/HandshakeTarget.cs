using System.Buffers.Binary;
using MetaStore.Fuzz.Running;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// The two frames of a handshake: what is read of them is what stands there, or they are refused with a result that can be sent. Input: flags u8 (1: a welcome, else a hello; 2: the checksum is
/// mended), cut u8, bytes.
/// </summary>
internal sealed class HandshakeTarget : FuzzTarget
{
    private const int AllocationFactor = 16;

    public override string Name => "handshakes";

    public override int BytesMax => Welcome.Size + Welcome.TextBytesMax + 64;

    public override IReadOnlyList<byte[]> Words { get; } = [Handshake.Magic.ToArray()];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (ConnectionRole role in Enum.GetValues<ConnectionRole>())
        {
            var frame = new byte[Hello.Size];
            new Hello(1, 1, role, 0, 7, new NodeId(3), new NodeId(4), 1 << 20, 9).Write(frame);
            yield return [2, 0, .. frame];
        }

        foreach (HandshakeResult result in new[] { HandshakeResult.Accepted, HandshakeResult.Removed })
        {
            var welcome = new Welcome(result, 1, 0, 7, new NodeId(3), new NodeId(4), 1 << 20, result == HandshakeResult.Accepted ? string.Empty : "größe");
            var frame = new byte[welcome.Length];
            welcome.Write(frame);
            yield return [3, 5, .. frame];
        }
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        byte flags = reader.Byte();
        byte cut = reader.Byte();
        bool isWelcome = (flags & 1) != 0;
        byte[] bytes = reader.Rest.ToArray();
        int sumAt = isWelcome ? 56 : 60;
        if ((flags & 2) != 0 && bytes.Length >= sumAt + sizeof(uint))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(sumAt), FrameChecksum.Compute(bytes.AsSpan(0, sumAt)));
        }

        try
        {
            return AllocationBudget.Hold(bytes.Length, AllocationFactor, () => isWelcome ? ReadWelcome(bytes, cut) : ReadHello(bytes, cut));
        }
        catch (HandshakeRefusedException e)
        {
            FuzzFailure.Unless(Enum.IsDefined(e.Result) && e.Result != HandshakeResult.Accepted, $"refused with {e.Result}");
            return $"{isWelcome} {e.Result} {Shape.Of(e.Message)}";
        }
        catch (EndOfStreamException)
        {
            return $"{isWelcome} too short";
        }
    }

    private static string ReadHello(byte[] bytes, byte cut)
    {
        Hello hello = Pieces.Finished(HandshakeIo.ReadHelloAsync(Pieces.Body(bytes, cut), CancellationToken.None));
        var again = new byte[Hello.Size];
        hello.Write(again);
        FuzzFailure.UnlessEqual(Shape.Hex(bytes.AsSpan(0, Hello.Size)), Shape.Hex(again), "a hello that was read is written otherwise");
        return $"{hello.Role} {TryChoose(hello)}";
    }

    private static string TryChoose(Hello hello)
    {
        try
        {
            ushort version = Handshake.ChooseVersion(hello);
            FuzzFailure.Unless(version >= hello.VersionMin && version <= hello.VersionMax, $"version {version} was chosen of {hello.VersionMin} to {hello.VersionMax}");
            return "version";
        }
        catch (HandshakeRefusedException e)
        {
            return $"{e.Result}";
        }
    }

    private static string ReadWelcome(byte[] bytes, byte cut)
    {
        Welcome welcome = Pieces.Finished(HandshakeIo.ReadWelcomeAsync(Pieces.Body(bytes, cut), CancellationToken.None));
        Welcome plain = welcome with { Text = string.Empty };
        var again = new byte[Welcome.Size];
        plain.Write(again);
        FuzzFailure.Unless(Welcome.Read(again, out _) == plain, "a welcome that was read, written and read, is another");
        return $"{welcome.Result} {Shape.Size(welcome.Text.Length)}";
    }
}
