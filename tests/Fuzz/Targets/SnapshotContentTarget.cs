using System.Buffers.Binary;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;
using MetaStore.Fuzz.Running;
using MetaStore.Raft;

namespace MetaStore.Fuzz.Targets;

/// <summary>What a snapshot holds, without the file's checksums: it is a store or it is refused, and a store that was read, written and read is the same.</summary>
internal sealed class SnapshotContentTarget : FuzzTarget
{
    private const int SliceBytes = 100;
    private const int AllocationFactor = 64;

    public override string Name => "snapshot-contents";

    public override IEnumerable<byte[]> Seeds()
    {
        yield return new Payload(revision: 1).End();
        yield return new Payload(revision: 3).Key("a", (3, 0, 2, 2, 0, "new"), (2, 0, 2, 1, 0, "old")).End();
        yield return new Payload(revision: 4, compacted: 2).Key("a", (2, 0, 2, 1, 0, "x")).Key("b", (4, 0, 0, 0, 0, ""), (3, 0, 3, 1, 0, "y")).Key("c", (4, 1, 4, 1, 7, "z")).End(lease: 7);
        yield return new Payload(revision: 2, sessions: true).Key("a", (2, 0, 2, 1, 0, "x")).End();
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        try
        {
            (MvccStore store, int consumed) = AllocationBudget.Hold(input.Length, AllocationFactor, () => Read(input));
            string outcome = $"{Shape.Size(store.View.Revision)} {Shape.Size(store.View.CompactRevision)} {store.View.Sessions.Count} {store.View.IsHollow} {consumed == input.Length}";
            byte[] written = Write(store);
            (MvccStore again, int consumedThen) = ReadAgain(written);
            FuzzFailure.Unless(consumedThen == written.Length, $"of {written.Length} bytes that were written {consumedThen} are read");
            FuzzFailure.UnlessEqual(Shape.Hex(written), Shape.Hex(Write(again)), "a store that was read, written and read, is another");
            return $"store {Shape.Size(written.Length)} {outcome}";
        }
        catch (SnapshotFormatException e)
        {
            return Shape.Of(e.Message);
        }
    }

    private static (MvccStore Store, int Consumed) ReadAgain(byte[] written)
    {
        try
        {
            return Read(written);
        }
        catch (SnapshotFormatException e)
        {
            throw new FuzzFailure($"a store that was read is written as what is no snapshot: {e.Message}", e);
        }
    }

    private static (MvccStore Store, int Consumed) Read(ReadOnlyMemory<byte> payload)
    {
        int at = 0;
        var reader = new StoreSnapshotReader(
            buffer =>
            {
                int length = Math.Min(buffer.Length, payload.Length - at);
                payload.Span.Slice(at, length).CopyTo(buffer);
                at += length;
                return length;
            },
            Membership.Empty,
            InlineForkJoin.One);
        MvccStore store = reader.Read();
        return (store, (int)reader.BytesRead);
    }

    private static byte[] Write(MvccStore store)
    {
        var output = new MemoryStream();
        using var writer = new StoreSnapshotWriter(store, bytes => output.Write(bytes));
        while (writer.WriteSlice(SliceBytes))
        {
            // Until it is whole.
        }

        return output.ToArray();
    }

    /// <summary>Puts a payload together as <see cref="StoreSnapshotWriter"/> draws it.</summary>
    private sealed class Payload
    {
        private readonly InputWriter _bytes = new();
        private readonly bool _sessions;
        private ulong _keys;

        public Payload(long revision, long compacted = 0, bool sessions = false)
        {
            _sessions = sessions;
            UInt32(StoreSnapshotWriter.Format).UInt32(0).Int64(revision).Int64(compacted).Int64(50).Int64(3).Int64(0x1234);
        }

        public Payload Key(string key, params (long Mod, uint Sub, long Create, long Version, long Lease, string Value)[] versions)
        {
            _keys++;
            UInt32((uint)key.Length).UInt32((uint)versions.Length);
            _bytes.Bytes(System.Text.Encoding.ASCII.GetBytes(key));
            foreach ((long mod, uint sub, long create, long version, long lease, string value) in versions)
            {
                Int64(mod).UInt32(sub).Int64(create).Int64(version).Int64(lease).UInt32((uint)value.Length);
                _bytes.Bytes(System.Text.Encoding.ASCII.GetBytes(value));
            }

            return this;
        }

        public byte[] End(long lease = 0)
        {
            UInt32(StoreSnapshotWriter.EndOfKeys).Int64((long)_keys);
            Int64(_sessions ? 5 : 0).UInt32(10).UInt32(1000).Int64(10_000).UInt32(_sessions ? 1u : 0);
            if (_sessions)
            {
                Int64(5).Int64(40).Int64(1).UInt32(1000).UInt32(1).Int64(2);
                _bytes.UInt16(0);
                UInt32(2);
                _bytes.Bytes("ok"u8);
            }

            Int64(0).UInt32(lease == 0 ? 0u : 1);
            if (lease != 0)
            {
                Int64(lease).Int64(60_000).Int64(59_000);
                _bytes.Byte(0);
            }

            return _bytes.ToArray();
        }

        private Payload UInt32(uint value)
        {
            Span<byte> bytes = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
            _bytes.Bytes(bytes);
            return this;
        }

        private Payload Int64(long value)
        {
            Span<byte> bytes = stackalloc byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
            _bytes.Bytes(bytes);
            return this;
        }
    }
}
