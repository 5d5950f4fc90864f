using MetaStore.Engine;
using MetaStore.Testing.Processes;
using MetaStore.Wal;

namespace MetaStore.Conformance.Tests;

/// <summary>A member with a damaged directory says what to do; repaired, it is mended by its peers while they serve, and votes again.</summary>
public sealed class RepairTests
{
    private const int Victim = 2;
    private static readonly string[] s_quick = ["--heartbeat-interval", "50", "--election-timeout", "500", "--snapshot-count", "200"];

    [Fact]
    public async Task A_damaged_log()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync("--heartbeat-interval", "50", "--election-timeout", "500");
        await UnderLoadAsync(cluster, async writes =>
        {
            await WriteMoreAsync(writes, 500);
            await cluster.KillAsync(Victim);
            string segment = Directory.GetFiles(Path.Combine(cluster.DataDirectory(Victim), "wal"), "*.wal").Order(StringComparer.Ordinal).First();
            await FlipByteAsync(segment, 5000);
            await AssertRefusedAsync(cluster, segment);
            await AssertRepairedAsync(cluster, Path.GetFileName(segment), "no snapshot, entries 1 to ");
        });
    }

    [Fact]
    public async Task A_damaged_snapshot()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync(s_quick);
        await UnderLoadAsync(cluster, async writes =>
        {
            await SnapshotOfAsync(cluster);
            await cluster.KillAsync(Victim);
            string snapshot = await SnapshotOfAsync(cluster);
            await FlipByteAsync(snapshot, new FileInfo(snapshot).Length / 2);
            await AssertRefusedAsync(cluster, snapshot);
            await AssertRepairedAsync(cluster, Path.GetFileName(snapshot), "kept: group 1, ");
        });
    }

    /// <summary>As if the machine had computed something else: the snapshot's checksums are right, and its content is not.</summary>
    [Fact]
    public async Task A_state_that_differs()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync(s_quick);
        await UnderLoadAsync(cluster, async writes =>
        {
            await SnapshotOfAsync(cluster);
            await cluster.KillAsync(Victim);
            string snapshot = await SnapshotOfAsync(cluster);
            Falsify(cluster.DataDirectory(Victim), snapshot);
            await cluster.StartNodeAsync(Victim);
            await Deadline.UntilAsync(() => cluster.Child(Victim).HasExited, "it finds that it differs", TimeSpan.FromMinutes(2));
            Assert.Equal(7, await cluster.Child(Victim).WaitForExitAsync());
            Assert.Contains("has diverged", cluster.Child(Victim).Errors);
            Assert.Contains("metastore repair --data-dir DIR --diverged", cluster.Child(Victim).Errors);
            await cluster.KillAsync(Victim);
            await AssertRepairedAsync(cluster, "*.snap", "no snapshot, no entries", "--diverged");
        });
    }

    [Fact]
    public async Task What_needs_no_repair_or_allows_none_is_said()
    {
        using var directory = new TestDirectory();
        string data = directory.Of("data");
        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            var writes = new AcknowledgedWrites();
            using var stop = new CancellationTokenSource();
            Task writing = writes.WriteAsync(server.Endpoint, writers: 4, valueBytes: 100, stop.Token);
            await Deadline.UntilAsync(() => writes.Count >= 300, "some puts are acknowledged");
            await stop.CancelAsync();
            await writing;
            Assert.Contains("in use", await RepairAsync(5, data));
            Assert.Equal(0, await server.StopAsync());
        }

        string[] before = [.. Directory.GetFileSystemEntries(data, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        Assert.Contains("nothing is damaged, nothing was changed", await RepairAsync(0, data));
        string stray = Path.Combine(data, "wal", "copy.wal");
        await File.WriteAllTextAsync(stray, "not a segment");
        Assert.Contains("the rest is whole", await RepairAsync(0, data));
        Assert.False(File.Exists(stray));
        Directory.Delete(Path.Combine(data, "damaged-1"), recursive: true);
        await FlipByteAsync(Directory.GetFiles(Path.Combine(data, "wal"), "*.wal").Order(StringComparer.Ordinal).First(), 5000);
        Assert.Contains("only voter of its cluster", await RepairAsync(4, data));
        Assert.Contains("only voter of its cluster", await RepairAsync(4, data, "--diverged"));
        Assert.Equal(before, Directory.GetFileSystemEntries(data, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal));
        Array.ForEach(Directory.GetFiles(Path.Combine(data, "wal"), "*.wal"), File.Delete);
        Assert.Contains("--has-peers", await RepairAsync(4, data));
        Assert.Contains("is not a data directory", await RepairAsync(2, directory.Path));
        Assert.Contains("is not a data directory", await RepairAsync(2, directory.Of("nowhere")));
        Assert.Contains("--data-dir", await RepairAsync(2, null));
    }

    /// <summary>Writers on another member all the while; at the end the member that was repaired is the one whose vote counts.</summary>
    private static async Task UnderLoadAsync(ProcessCluster cluster, Func<AcknowledgedWrites, Task> test)
    {
        int leader = await cluster.FindLeaderAsync();
        int door = leader == Victim ? 0 : leader;
        var writes = new AcknowledgedWrites();
        using var stop = new CancellationTokenSource();
        Task writing = writes.WriteAsync(cluster.Endpoints[door], writers: 8, valueBytes: 100, stop.Token);
        await test(writes);
        await WriteMoreAsync(writes, 200);
        await stop.CancelAsync();
        await writing;

        // Whoever leads goes away: there is no other leader without the vote of the member that was repaired.
        leader = await cluster.FindLeaderAsync();
        await cluster.KillAsync(leader == Victim ? door : leader);
        await cluster.FindLeaderAsync();
        await writes.AssertAllThereAsync(cluster.Endpoints[Victim]);
    }

    private static async Task WriteMoreAsync(AcknowledgedWrites writes, int count)
    {
        int target = writes.Count + count;
        await Deadline.UntilAsync(() => writes.Count >= target, $"{target} writes are acknowledged", TimeSpan.FromMinutes(1));
    }

    /// <summary>The newest snapshot of the victim, as soon as there is one.</summary>
    private static async Task<string> SnapshotOfAsync(ProcessCluster cluster)
    {
        string snapshots = Path.Combine(cluster.DataDirectory(Victim), "snap");
        await Deadline.UntilAsync(() => Directory.GetFiles(snapshots, "*.snap").Length > 0, "there is a snapshot", TimeSpan.FromMinutes(1));
        return Directory.GetFiles(snapshots, "*.snap").Order(StringComparer.Ordinal).Last();
    }

    private static async Task AssertRefusedAsync(ProcessCluster cluster, string damaged)
    {
        (int exitCode, string errors) = await cluster.StartRefusedAsync(Victim);
        Assert.Equal(4, exitCode);
        Assert.Contains($"corruption in {damaged} at offset ", errors);
        Assert.Contains($"metastore repair --data-dir {cluster.DataDirectory(Victim)}", errors);
    }

    private static async Task AssertRepairedAsync(ProcessCluster cluster, string moved, string kept, params string[] flags)
    {
        string data = cluster.DataDirectory(Victim);
        string output = await RepairAsync(0, data, flags);
        Assert.Contains(kept, output);
        Assert.Contains("repaired. Start the member", output);
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(data, "damaged-1"), moved));
        Assert.True(File.Exists(Path.Combine(data, "recovering")));
        Assert.Contains("the member is recovering: start it", await RepairAsync(0, data));

        await cluster.StartNodeAsync(Victim);
        await Deadline.UntilAsync(() => !File.Exists(Path.Combine(data, "recovering")), "it has caught up", TimeSpan.FromMinutes(1));
        await Deadline.UntilAsync(() => cluster.Child(Victim).Errors.Contains("recovered: this member has caught up", StringComparison.Ordinal), "it says so");
        await AssertHashesEqualAsync(cluster);
    }

    private static async Task AssertHashesEqualAsync(ProcessCluster cluster)
    {
        // Linearizable, so that the node has applied all up to a revision that the others have as well, or will have in a moment.
        RangeResponse read = await cluster.Node(Victim).RangeAsync(new RangeRequest { Key = new byte[] { 1 } });
        var hashes = new List<string>();
        for (int node = 0; node < 3; node++)
        {
            await cluster.Node(node).RangeAsync(new RangeRequest { Key = new byte[] { 1 } });
            HashResponse hash = await cluster.Node(node).HashAsync(new HashRequest(read.Header.Revision));
            hashes.Add($"{hash.Hash:x} at {hash.HashRevision}");
        }

        Assert.Single(hashes.Distinct());
    }

    /// <summary>What "repair" says, on either stream.</summary>
    private static async Task<string> RepairAsync(int expected, string? data, params string[] flags)
    {
        string[] directory = data is null ? [] : ["--data-dir", data];
        (int exitCode, string output, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "repair", .. directory, .. flags]);
        Assert.True(exitCode == expected, $"{exitCode}: {output}{errors}");
        Assert.Equal(expected == 0, errors.Length == 0);
        return output + errors;
    }

    private static async Task FlipByteAsync(string path, long offset)
    {
        byte[] bytes = await File.ReadAllBytesAsync(path);
        bytes[offset] ^= 0xff;
        await File.WriteAllBytesAsync(path, bytes);
    }

    /// <summary>Writes the snapshot anew, with another hash of what was applied.</summary>
    private static void Falsify(string data, string snapshot)
    {
        const int Digest = 40; // StoreSnapshotWriter draws where
        var disk = new NativeDisk();
        DirectoryIdentity named = DirectoryIdentity.TryRead(disk, data)!;
        var store = new SnapshotStore(disk, data, named.Identity);
        SnapshotInfo info = store.List(1)[0];
        using var content = new MemoryStream();
        using (SnapshotReader reader = store.OpenRead(1, info))
        {
            byte[] buffer = new byte[64 << 10];
            for (int read = reader.Read(buffer); read > 0; read = reader.Read(buffer))
            {
                content.Write(buffer.AsSpan(0, read));
            }
        }

        byte[] bytes = content.ToArray();
        bytes[Digest] ^= 1;
        using SnapshotWriter writer = store.Create(1, info);
        writer.Write(bytes);
        writer.Complete();
        Assert.True(File.Exists(snapshot));
    }
}
