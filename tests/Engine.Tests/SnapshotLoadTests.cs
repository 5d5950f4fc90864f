using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>However many load it, and in however many pieces, a snapshot makes the store that it was taken from.</summary>
public class SnapshotLoadTests
{
    private const int Keys = 20_000;

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(2, true)]
    [InlineData(4, true)]
    public void TheStoreThatWasSaved_IsTheOneThatIsLoaded(int width, bool onThreads)
    {
        MvccStore saved = MakeStore(compactAt: Keys / 2);
        byte[] payload = Write(saved);
        using var threads = new ForkJoinThreads(width);

        var reader = new StoreSnapshotReader(SourceOf(payload), Membership.Empty, onThreads ? threads : new InlineForkJoin(width));
        MvccStore loaded = reader.Read();

        Assert.Equal(payload.Length, reader.BytesRead);
        Assert.Equal(payload, Write(loaded));
        Assert.Equal(saved.View.Index.LiveCount, loaded.View.Index.LiveCount);
        Assert.Equal(EventsOf(saved), EventsOf(loaded));
        IndexShape.Check(loaded);
    }

    /// <summary>What was loaded side by side is one store's memory from then on: it is written to, cut, and given back like any other.</summary>
    [Fact]
    public void WhatSeveralHaveLoaded_IsOneMemory()
    {
        using var threads = new ForkJoinThreads(4);
        MvccStore loaded = new StoreSnapshotReader(SourceOf(Write(MakeStore(compactAt: 1))), Membership.Empty, threads).Read();
        long reserved = loaded.Memory.ReservedBytes;
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < Keys; i++)
            {
                Put(loaded, Key(i), 100);
            }

            loaded.Compact(loaded.Revision);
            loaded.Publish(loaded.View.AppliedIndex + 1, 1);
            while (loaded.Cutter.RunSlice(10_000) || loaded.Memory.Reclaim())
            {
            }
        }

        IndexShape.Check(loaded);
        Assert.InRange(loaded.Memory.ReservedBytes, 1, 2 * reserved);
        GC.KeepAlive(loaded);
    }

    /// <summary>Wherever a piece ends, in a key's history or before the end of the keys.</summary>
    [Fact]
    public void PiecesOfAnySize_MakeTheSameStore()
    {
        byte[] payload = Write(MakeSmallStore());
        for (int bytes = 1; bytes < 300; bytes++)
        {
            foreach (int width in (int[])[1, 3])
            {
                Assert.Equal(payload, Write(Read(payload, width, bytes)));
            }
        }
    }

    [Fact]
    public void WhatNoStoreHasWritten_IsRefused_WhereverAPieceEnds()
    {
        byte[] payload = Write(MakeSmallStore());
        (int[] keys, int[] versions, int[] later, int end) = Places(payload);
        foreach (int bytes in (int[])[1, 100, 100_000])
        {
            AssertRefused("keys are out of order", bytes, payload, keys, (at, place) => place[at + 8] = 0);
            AssertRefused("a key has no version", bytes, payload, keys, (at, place) => BinaryPrimitives.WriteUInt32LittleEndian(place.AsSpan(at + 4), 0));
            AssertRefused("follows one at", bytes, payload, versions, (at, place) => BinaryPrimitives.WriteInt64LittleEndian(place.AsSpan(at), 1_000_000));
            AssertRefused("follows one at", bytes, payload, versions, (at, place) => BinaryPrimitives.WriteInt64LittleEndian(place.AsSpan(at), -1));
            AssertRefused("follows one at", bytes, payload, later, (at, place) => BinaryPrimitives.WriteInt64LittleEndian(place.AsSpan(at), LastOf(payload)));
            AssertRefused("are announced", bytes, payload, [end], (at, place) => BinaryPrimitives.WriteUInt64LittleEndian(place.AsSpan(at + 4), 5));
        }

        for (int length = 0; length < payload.Length; length++)
        {
            Assert.Contains("too early", Assert.Throws<SnapshotFormatException>(() => Read(payload[..length], 1 + (length % 3), 1 + (length % 200))).Message);
        }
    }

    /// <summary>Between the look at the directory and its lock somebody may have finished a newer one.</summary>
    [Fact]
    public void WhatWasLoadedEarly_CountsOnlyIfItIsStillTheNewest()
    {
        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory("node");
        var files = new SnapshotStore(disk, "node", new WalIdentity(1, 1));
        var group = new GroupId(1);
        Save(files, 10);
        var early = new EarlyLoad(files, [group], new InlineForkJoin(2));
        early.Beside(() => Save(files, 20));

        Assert.Equal(20UL, early.Take(group, files.List(1)[0]).View.AppliedIndex);

        early.Beside(() => { });
        files.Delete(1, files.List(1)[0]);
        Assert.Equal(10UL, early.Take(group, files.List(1)[0]).View.AppliedIndex);
        Assert.Throws<DiskException>(() => early.Take(group, new SnapshotInfo(20, 1, MembershipCodec.Encode(Membership.Empty))));
    }

    [Fact]
    public void WhatWasLoadedEarly_IsNotReadAgain()
    {
        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory("node");
        var files = new SnapshotStore(disk, "node", new WalIdentity(1, 1));
        Save(files, 10);
        SnapshotInfo info = files.List(1)[0];
        var early = new EarlyLoad(files, [new GroupId(1)], new InlineForkJoin(2));
        early.Beside(() => { });
        files.Delete(1, info);

        Assert.Equal(10UL, early.Take(new GroupId(1), info).View.AppliedIndex);
    }

    private static void AssertRefused(string cause, int pieceBytes, byte[] payload, int[] places, Action<int, byte[]> damage)
    {
        foreach (int at in places)
        {
            byte[] damaged = [.. payload];
            damage(at, damaged);
            foreach (int width in (int[])[1, 3])
            {
                Assert.Contains(cause, Assert.Throws<SnapshotFormatException>(() => Read(damaged, width, pieceBytes)).Message);
            }
        }
    }

    private static MvccStore Read(byte[] payload, int width, int pieceBytes) =>
        new StoreSnapshotReader(SourceOf(payload), Membership.Empty, new InlineForkJoin(width), pieceBytesMax: pieceBytes).Read();

    /// <summary>The last revision.</summary>
    private static long LastOf(byte[] payload) => BinaryPrimitives.ReadInt64LittleEndian(payload.AsSpan(8));

    /// <summary>Where keys and versions begin, but for the first key, which may be any; versions that follow an older one than the last revision's; and where the keys end.</summary>
    private static (int[] Keys, int[] Versions, int[] Later, int End) Places(byte[] payload)
    {
        var keys = new List<int>();
        var versions = new List<int>();
        var later = new List<int>();
        int at = 48;
        while (BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(at)) is var keyLength && keyLength != uint.MaxValue)
        {
            keys.Add(at);
            uint count = BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(at + 4));
            at += 8 + (int)keyLength;
            long above = LastOf(payload);
            for (uint i = 0; i < count; i++)
            {
                versions.Add(at);
                if (above < LastOf(payload))
                {
                    later.Add(at);
                }

                above = BinaryPrimitives.ReadInt64LittleEndian(payload.AsSpan(at));
                at += 40 + (int)BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(at + 36));
            }
        }

        Assert.NotEmpty(later);
        return ([.. keys.Skip(1)], [.. versions], [.. later], at);
    }

    private static MvccStore MakeSmallStore()
    {
        var store = new MvccStore();
        store.GrantLease(1, 77, 60_000, endsWithLastKey: false);
        for (int i = 0; i < 40; i++)
        {
            Put(store, Key(i % 15), i * 7 % 60, lease: i % 10 == 0 ? 77 : 0);
            Put(store, "hot"u8, 30);
        }

        store.Publish(1, 1);
        return store;
    }

    private static void Save(SnapshotStore files, ulong index)
    {
        var store = new MvccStore();
        Put(store, "key"u8, 10);
        store.Publish(index, 1);
        using SnapshotWriter file = files.Create(1, new SnapshotInfo(index, 1, MembershipCodec.Encode(Membership.Empty)));
        file.Write(Write(store));
        file.Complete();
    }

    /// <summary>Small keys; one with more history than a piece has room for; one version that is larger than a piece; leases; what was deleted.</summary>
    private static MvccStore MakeStore(long compactAt)
    {
        var store = new MvccStore();
        store.GrantLease(1, 77, 60_000, endsWithLastKey: false);
        for (int i = 0; i < Keys; i++)
        {
            Put(store, Key(i), i % 300, lease: i % 100 == 0 ? 77 : 0);
            if (i % 5 == 0)
            {
                Put(store, "hot"u8, 1000);
            }

            if (i == Keys / 2)
            {
                Put(store, "large"u8, 3 << 20);
            }

            if (i % 7 == 6)
            {
                store.Delete(store.Revision + 1, store.Unpublished.Find(Key(i - 3)));
                store.CommitRevision(store.Revision + 1);
            }
        }

        store.Publish(1, 1);
        store.Compact(compactAt);
        store.Publish(2, 1);
        return store;
    }

    private static byte[] Key(int i) => Encoding.ASCII.GetBytes("key" + i.ToString("D8", CultureInfo.InvariantCulture));

    private static void Put(MvccStore store, ReadOnlySpan<byte> key, int valueBytes, long lease = 0)
    {
        long revision = store.Revision + 1;
        byte[] value = new byte[valueBytes];
        Array.Fill(value, (byte)(revision % 251));
        store.Put(revision, key, value, lease);
        store.CommitRevision(revision);
    }

    private static List<string> EventsOf(MvccStore store)
    {
        var events = new List<string>();
        for (long revision = store.CompactRevision; revision <= store.Revision; revision++)
        {
            foreach (LoggedEvent change in store.Events.Read(revision))
            {
                events.Add($"{revision} {Encoding.ASCII.GetString(change.Record.Key)} {change.Version.ModRevision} {change.Version.Version} {change.Version.Value.Length}");
            }
        }

        return events;
    }

    private static byte[] Write(MvccStore store)
    {
        using var output = new MemoryStream();
        using var writer = new StoreSnapshotWriter(store, bytes => output.Write(bytes));
        while (writer.WriteSlice(1 << 20))
        {
            // On with the next one.
        }

        return output.ToArray();
    }

    private static SnapshotSource SourceOf(byte[] payload)
    {
        int at = 0;
        return buffer =>
        {
            int length = Math.Min(buffer.Length, payload.Length - at);
            payload.AsSpan(at, length).CopyTo(buffer);
            at += length;
            return length;
        };
    }
}
