using System.Security.Cryptography;
using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Members;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>Snapshots that are saved, looked at and restored as another cluster.</summary>
public sealed class SnapshotRestoreTests : IDisposable
{
    private static readonly NativeDisk s_disk = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task What_was_saved_comes_back_as_another_cluster()
    {
        (string file, HashResponse hash, RangeResponse all) = await SavedAsync();
        SavedSnapshot saved = SavedSnapshot.Read(s_disk, file);
        Assert.Equal((hash.Hash, hash.HashRevision, hash.CompactRevision), (saved.Hash, saved.Revision, saved.CompactRevision));
        Assert.Equal((all.Count, new FileInfo(file).Length), (saved.KeyCount, saved.FileBytes));

        NodeSettings settings = Settings("restored");
        RestoredMember restored = SnapshotRestore.Run(s_disk, file, settings, new SnapshotRestoreOptions());
        Assert.Equal((saved.Revision, all.Count, 1), (restored.Revision, restored.KeyCount, restored.MemberCount));
        await using MetaStoreNode node = MetaStoreNode.Open(settings, transport: null);
        Assert.Equal(restored.Identity, new WalIdentity(node.ClusterId, node.NodeId.Value));
        RangeResponse again = await node.RangeAsync(All());
        Assert.Equal(all.Items.Select(Describe), again.Items.Select(Describe));
        Assert.Equal(hash.Hash, (await node.HashAsync(new HashRequest(hash.HashRevision))).Hash);
        Assert.Equal("old", Encoding.UTF8.GetString((await node.RangeAsync(new RangeRequest { Key = Bytes("k1"), Revision = new Revision(5) })).Items[0].Value.Span));

        // A lease begins anew, and still takes its keys with it.
        Assert.Equal([7L], (await node.LeasesAsync()).Ids);
        await node.RevokeLeaseAsync(new LeaseRevokeRequest(7));
        Assert.Empty((await node.RangeAsync(new RangeRequest { Key = Bytes("leased") })).Items);

        // Sessions are gone, and their numbers are not given again.
        Assert.Equal(2ul, (await node.OpenSessionAsync()).SessionId);
        PutResponse put = await node.PutAsync(new PutRequest { Key = Bytes("new") });
        Assert.True(put.Header.Revision > saved.Revision);
    }

    [Fact]
    public async Task A_restored_member_starts_again_and_again_and_only_with_its_own_settings()
    {
        (string file, _, RangeResponse all) = await SavedAsync();
        NodeSettings settings = Settings("restored");
        SnapshotRestore.Run(s_disk, file, settings, new SnapshotRestoreOptions());
        for (int start = 0; start < 3; start++)
        {
            await using MetaStoreNode node = MetaStoreNode.Open(settings, transport: null);
            Assert.Equal(all.Count + start, (await node.RangeAsync(All() with { CountOnly = true })).Count);
            await node.PutAsync(new PutRequest { Key = Bytes($"start{start}") });
        }

        Assert.Throws<WalIdentityException>(() => MetaStoreNode.Open(settings with { ClusterId = 99 }, transport: null));
        Assert.Throws<WalIdentityException>(() => MetaStoreNode.Open(settings with { NodeId = new NodeId(2), Members = [new Member(2, "n2", [], [])] }, transport: null));
    }

    [Fact]
    public async Task A_bumped_restore_tells_watches_that_resume_that_history_is_compacted()
    {
        (string file, HashResponse hash, RangeResponse all) = await SavedAsync();
        NodeSettings settings = Settings("restored");
        RestoredMember restored = SnapshotRestore.Run(s_disk, file, settings, new SnapshotRestoreOptions { RevisionBump = 1_000_000_000, MarkCompacted = true });
        Assert.Equal(hash.HashRevision.Value + 1_000_000_000, restored.Revision.Value);
        await using MetaStoreNode node = MetaStoreNode.Open(settings, transport: null);
        RangeResponse again = await node.RangeAsync(All());
        Assert.Equal(all.Items.Select(Describe), again.Items.Select(Describe));
        Assert.Equal(restored.Revision, again.Header.Revision);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        CompactedException told = await Assert.ThrowsAsync<CompactedException>(async () =>
        {
            // A client that has seen more than the snapshot holds.
            var watch = new WatchRequest { Key = Bytes("k1"), StartRevision = new Revision(hash.HashRevision.Value + 100) };
            await foreach (WatchResponse response in node.WatchAsync(watch, patience.Token))
            {
                Assert.True(response.IsCreated);
            }
        });
        Assert.Equal(restored.Revision, told.CompactRevision);
        Assert.Equal(restored.Revision.Value + 1, (await node.PutAsync(new PutRequest { Key = Bytes("k1") })).Header.Revision.Value);
    }

    /// <summary>The revision that a bumped restore begins with is one that changed nothing, and that may be watched: a read's header names it. So it stays after a restart.</summary>
    [Fact]
    public async Task A_bumped_restore_can_be_watched_from_its_first_revision_on()
    {
        (string file, _, _) = await SavedAsync();
        NodeSettings settings = Settings("restored");
        RestoredMember restored = SnapshotRestore.Run(s_disk, file, settings, new SnapshotRestoreOptions { RevisionBump = 1000, MarkCompacted = true });
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        for (int start = 1; start <= 2; start++)
        {
            await using MetaStoreNode node = MetaStoreNode.Open(settings, transport: null);
            var watch = new WatchRequest { Key = Bytes("k1"), StartRevision = restored.Revision };
            var told = new List<long>();
            ValueTask<PutResponse> put = default;
            await foreach (WatchResponse response in node.WatchAsync(watch, patience.Token))
            {
                told.AddRange(response.Events.Select(e => e.KeyValue.ModRevision.Value));
                if (response.IsCreated)
                {
                    put = node.PutAsync(new PutRequest { Key = Bytes("k1") }, patience.Token);
                }
                else if (told.Count == start)
                {
                    break;
                }
            }

            await put;
            Assert.Equal(Enumerable.Range(1, start).Select(i => restored.Revision.Value + i), told);
            Assert.False(node.Failed.IsCompleted);
        }
    }

    [Fact]
    public async Task A_bump_and_the_mark_belong_together()
    {
        (string file, _, _) = await SavedAsync();
        foreach (SnapshotRestoreOptions options in new SnapshotRestoreOptions[] { new() { RevisionBump = 5 }, new() { MarkCompacted = true }, new() { RevisionBump = -1, MarkCompacted = true }, new() { RevisionBump = long.MaxValue, MarkCompacted = true } })
        {
            Assert.ThrowsAny<ArgumentException>(() => SnapshotRestore.Run(s_disk, file, Settings("refused"), options));
            Assert.False(Directory.Exists(Path.Combine(_directory, "refused")));
        }
    }

    /// <summary>Two members, restored by themselves: the same cluster, the same content, none of the old ids.</summary>
    [Fact]
    public async Task Members_restored_by_themselves_agree()
    {
        (string file, _, _) = await SavedAsync();
        Member[] members = [new(1, "n1", ["http://h1:1"], []), new(2, "n2", ["http://h2:1"], [])];
        var options = new SnapshotRestoreOptions { RevisionBump = 5, MarkCompacted = true };
        RestoredMember[] restored = [.. members.Select(member => SnapshotRestore.Run(
            s_disk, file, Settings(member.Name) with { NodeId = new NodeId(member.Id), Members = members, Seed = member.Id }, options))];
        Assert.Equal(restored[0].Identity.ClusterId, restored[1].Identity.ClusterId);
        Assert.NotEqual(restored[0].Identity.NodeId, restored[1].Identity.NodeId);
        byte[][] contents = [.. members.Select(member => Content(SnapshotIn(member.Name)))];
        Assert.Equal(contents[0], contents[1]);
        using SnapshotReader reader = SnapshotFile.OpenRead(s_disk, SnapshotIn("n1"));
        MemberTable table = MemberTable.From(MembershipCodec.Decode(reader.Info.Configuration));
        Assert.Equal(restored.Select(member => member.Identity.NodeId).Order(), table.Members.Select(member => member.Id));
        Assert.DoesNotContain(table.Members, member => member.Id is 1 or 2 || member.DirectoryId != 0);
        Assert.Equal(2, members.Select(member => DirectoryIdentity.TryRead(s_disk, Path.Combine(_directory, member.Name))!.DirectoryId).Distinct().Count());

        // Another content, other options or other members make another cluster.
        RestoredMember other = SnapshotRestore.Run(s_disk, file, Settings("other") with { Members = [members[0]] }, new SnapshotRestoreOptions());
        Assert.NotEqual(restored[0].Identity.ClusterId, other.Identity.ClusterId);
        Assert.NotEqual(1ul, other.Identity.ClusterId);
    }

    [Fact]
    public async Task A_damaged_file_is_refused_wherever_the_damage_is()
    {
        (string file, _, _) = await SavedAsync();
        byte[] sound = File.ReadAllBytes(file);
        string damaged = Path.Combine(_directory, "damaged");
        for (int at = 0; at < sound.Length; at += 7)
        {
            byte[] bytes = [.. sound];
            bytes[at] ^= 0x10;
            File.WriteAllBytes(damaged, bytes);
            Exception refusal = Assert.ThrowsAny<Exception>(() => SavedSnapshot.Read(s_disk, damaged));
            Assert.True(refusal is CorruptionException, $"byte {at}: {refusal}");
            Assert.Contains($"{damaged} at offset ", refusal.Message);
        }

        for (int length = 0; length < sound.Length; length += 11)
        {
            File.WriteAllBytes(damaged, sound[..length]);
            Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, damaged));
        }

        File.WriteAllBytes(damaged, [.. sound, 0]);
        Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, damaged));
        Assert.Throws<CorruptionException>(() => SnapshotRestore.Run(s_disk, damaged, Settings("none"), new SnapshotRestoreOptions()));
        Assert.False(Directory.Exists(Path.Combine(_directory, "none")));
    }

    /// <summary>What etcd's clients save: the content alone, zeros to whole blocks, a SHA-256.</summary>
    [Fact]
    public async Task What_etcds_clients_save_is_read_as_well()
    {
        (string file, HashResponse hash, _) = await SavedAsync();
        byte[] content = Content(file);
        byte[] filled = [.. content, .. new byte[(512 - (content.Length % 512)) % 512]];
        string plain = Path.Combine(_directory, "plain");
        File.WriteAllBytes(plain, [.. filled, .. SHA256.HashData(filled)]);
        Assert.Equal(hash.Hash, SavedSnapshot.Read(s_disk, plain).Hash);

        // The same content makes the same cluster.
        RestoredMember one = SnapshotRestore.Run(s_disk, file, Settings("one"), new SnapshotRestoreOptions());
        RestoredMember two = SnapshotRestore.Run(s_disk, plain, Settings("two"), new SnapshotRestoreOptions());
        Assert.Equal(one.Identity, two.Identity);

        byte[] changed = [.. filled, .. SHA256.HashData(content)];
        File.WriteAllBytes(plain, changed);
        Assert.Contains("does not fit its SHA-256", Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, plain)).Message);
        SnapshotRestore.Run(s_disk, plain, Settings("unchecked"), new SnapshotRestoreOptions { SkipHashCheck = true });
        byte[] longer = [.. filled, .. new byte[511], 1];
        File.WriteAllBytes(plain, [.. longer, .. SHA256.HashData(longer)]);
        Assert.Contains("behind the end of the content", Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, plain)).Message);
        byte[] unclean = [.. content, .. Enumerable.Repeat((byte)1, filled.Length - content.Length)];
        File.WriteAllBytes(plain, [.. unclean, .. SHA256.HashData(unclean)]);
        Assert.Contains("behind the end of the content", Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, plain)).Message);
        File.WriteAllBytes(plain, filled);
        Assert.Contains("has no SHA-256", Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, plain)).Message);
        SnapshotRestore.Run(s_disk, plain, Settings("without"), new SnapshotRestoreOptions { SkipHashCheck = true });
        File.WriteAllBytes(plain, [.. new byte[16], 0xed, 0xda, 0x0c, 0xed, .. new byte[1000]]);
        Assert.Contains("etcd has saved", Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, plain)).Message);
        File.WriteAllBytes(plain, Bytes("something else"));
        Assert.Contains("not a snapshot of this store", Assert.Throws<CorruptionException>(() => SavedSnapshot.Read(s_disk, plain)).Message);
    }

    /// <summary>A file whose checksums fit, and whose content is none: no process may fall over it.</summary>
    [Fact]
    public async Task A_content_that_is_none_is_refused()
    {
        (string file, _, _) = await SavedAsync();
        byte[] content = Content(file);
        string made = Path.Combine(_directory, "made");
        for (int at = 0; at < content.Length; at += 3)
        {
            byte[] changed = [.. content];
            changed[at] ^= 0xff;
            using (FileStream stream = File.Create(made))
            {
                var encoder = new SnapshotEncoder(new WalIdentity(1, 1), 1, new SnapshotInfo(9, 1, default), stream.Write);
                encoder.Write(changed);
                encoder.Complete();
            }

            try
            {
                SavedSnapshot.Read(s_disk, made);
            }
            catch (CorruptionException e)
            {
                Assert.Equal(made, e.File);
            }
        }
    }

    /// <summary>A crash at any step leaves a directory that no node starts on, or one that is whole.</summary>
    [Fact]
    public async Task Nothing_that_a_crash_leaves_behind_is_taken_for_a_restored_member()
    {
        (string file, _, RangeResponse all) = await SavedAsync();
        SnapshotRestore.Run(s_disk, file, Settings("whole"), new SnapshotRestoreOptions());
        string whole = Path.Combine(_directory, "whole");
        string[] order = ["snap", "wal", "restored", "directory.id"];
        for (int done = 1; done < order.Length; done++)
        {
            string partial = Path.Combine(_directory, $"partial{done}");
            Directory.CreateDirectory(partial);
            foreach (string path in Directory.EnumerateFiles(whole, "*", SearchOption.AllDirectories))
            {
                string name = Path.GetRelativePath(whole, path);
                if (order.Take(done).Contains(name.Split('/')[0]))
                {
                    Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(partial, name))!);
                    File.Copy(path, Path.Combine(partial, name));
                }
            }

            Exception refusal = Assert.ThrowsAny<Exception>(() => MetaStoreNode.Open(Settings($"partial{done}"), transport: null));
            Assert.True(refusal is WalIdentityException or CorruptionException, $"{order[done - 1]}: {refusal}");
        }

        await using MetaStoreNode node = MetaStoreNode.Open(Settings("whole"), transport: null);
        Assert.Equal(all.Count, (await node.RangeAsync(All())).Count);
    }

    [Fact]
    public async Task A_snapshot_goes_on_while_the_store_does()
    {
        await using MetaStoreNode node = MetaStoreNode.Open(Settings("busy"), transport: null);
        for (int i = 0; i < 200; i++)
        {
            await node.PutAsync(new PutRequest { Key = Bytes($"k{i:d4}"), Value = new byte[20_000] });
        }

        HashResponse before = await node.HashAsync(new HashRequest(Revision.Current));
        string file = Path.Combine(_directory, "busy.snapshot");
        using (FileStream stream = File.Create(file))
        {
            int pieces = 0;
            await foreach (ReadOnlyMemory<byte> piece in node.SnapshotAsync())
            {
                Assert.InRange(pieces, 0, 100);
                await stream.WriteAsync(piece);
                await node.PutAsync(new PutRequest { Key = Bytes($"k{pieces++:d4}"), Value = Bytes("changed") });
                await node.CompactAsync(new CompactRequest((await node.StatusAsync()).Header.Revision));
            }

            Assert.True(pieces > 3, $"{pieces} pieces");
        }

        SavedSnapshot saved = SavedSnapshot.Read(s_disk, file);
        Assert.Equal((before.Hash, before.HashRevision, 200), (saved.Hash, saved.Revision, saved.KeyCount));
    }

    private async Task<(string File, HashResponse Hash, RangeResponse All)> SavedAsync()
    {
        string file = Path.Combine(_directory, "saved");
        await using MetaStoreNode node = MetaStoreNode.Open(Settings("source"), transport: null);
        await node.PutAsync(new PutRequest { Key = Bytes("gone"), Value = Bytes("x") });
        await node.PutAsync(new PutRequest { Key = Bytes("k0"), Value = Bytes("0") });
        await node.DeleteRangeAsync(new DeleteRangeRequest { Key = Bytes("gone") });
        await node.PutAsync(new PutRequest { Key = Bytes("k1"), Value = Bytes("old") });
        await node.CompactAsync(new CompactRequest(new Revision(4)));
        await node.PutAsync(new PutRequest { Key = Bytes("k1"), Value = Bytes("new") });
        await node.GrantLeaseAsync(new LeaseGrantRequest(600, 7));
        await node.PutAsync(new PutRequest { Key = Bytes("leased"), Value = Bytes("l"), LeaseId = 7 });
        MetaStoreSession session = await MetaStoreSession.OpenAsync(node);
        await session.PutAsync(new PutRequest { Key = Bytes("by session") });
        using (FileStream stream = File.Create(file))
        {
            await foreach (ReadOnlyMemory<byte> piece in node.SnapshotAsync())
            {
                await stream.WriteAsync(piece);
            }
        }

        return (file, await node.HashAsync(new HashRequest(Revision.Current)), await node.RangeAsync(All()));
    }

    private NodeSettings Settings(string directory) => new()
    {
        Name = "n1",
        ClusterId = 1,
        NodeId = new NodeId(1),
        Members = [new Member(1, "n1", ["http://h1:1"], [])],
        DataDirectory = Path.Combine(_directory, directory),
        HeartbeatInterval = TimeSpan.FromMilliseconds(20),
        ElectionTimeout = TimeSpan.FromMilliseconds(200),
        Seed = 5,
    };

    private string SnapshotIn(string directory) => Directory.EnumerateFiles(Path.Combine(_directory, directory, "snap")).Single();

    /// <summary>The content of a snapshot file.</summary>
    private static byte[] Content(string file)
    {
        using SnapshotReader reader = SnapshotFile.OpenRead(s_disk, file);
        byte[] bytes = new byte[new FileInfo(file).Length];
        return bytes[..reader.Read(bytes)];
    }

    private static RangeRequest All() => new() { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } };

    private static string Describe(KeyValue item) =>
        $"{Encoding.UTF8.GetString(item.Key.Span)}={Encoding.UTF8.GetString(item.Value.Span)} c{item.CreateRevision} m{item.ModRevision} v{item.Version} l{item.LeaseId}";

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
