using System.Diagnostics;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Figures;

/// <summary>A million keys to a snapshot file and back, by the real disk.</summary>
internal static class SnapshotFigures
{
    private const int Keys = 1_000_000;

    public static IEnumerable<Figure> Run(string directory)
    {
        var store = new TestStore();
        store.Fill(TestStore.MakeKeys(Keys));
        Directory.CreateDirectory(directory);
        var disk = new NativeDisk();
        using var parts = new ForkJoinThreads(ForkJoinThreads.DefaultWidth);
        var files = new SnapshotStore(disk, directory, new WalIdentity(1, 1));
        byte[] membership = MembershipCodec.Encode(Membership.Empty);
        double writing = double.MaxValue, reading = double.MaxValue;
        long bytes = 0;
        for (int round = 0; round < 3; round++)
        {
            long start = Stopwatch.GetTimestamp();
            var info = new SnapshotInfo((ulong)round + 1, 1, membership);
            bytes = Write(files, info, store);
            writing = Math.Min(writing, Stopwatch.GetElapsedTime(start).TotalSeconds);
            start = Stopwatch.GetTimestamp();
            using SnapshotReader reader = files.OpenRead(1, info);
            Engine.Mvcc.MvccStore read = new StoreSnapshotReader(reader.Read, Membership.Empty, parts).Read();
            reading = Math.Min(reading, Stopwatch.GetElapsedTime(start).TotalSeconds);
            if (read.View.Index.LiveCount != Keys)
            {
                throw new InvalidOperationException($"{read.View.Index.LiveCount} keys came back of {Keys}");
            }

            read.Memory.Dispose();
        }

        files.DeleteOlderThan(1, ulong.MaxValue);
        yield return new Figure("snapshot_write_1m", bytes / writing / 1e6, "MB/s", 500);
        yield return new Figure("snapshot_read_1m", bytes / reading / 1e6, "MB/s", 500);
        yield return new Figure("snapshot_load_1m", reading, "s", 1);
    }

    private static long Write(SnapshotStore files, SnapshotInfo info, TestStore store)
    {
        long bytes = 0;
        using SnapshotWriter file = files.Create(1, info);
        using var writer = new StoreSnapshotWriter(store.Store, piece =>
        {
            file.Write(piece);
            bytes += piece.Length;
        });
        while (writer.WriteSlice(1 << 20))
        {
            // On with the next one.
        }

        file.Complete();
        return bytes;
    }
}
