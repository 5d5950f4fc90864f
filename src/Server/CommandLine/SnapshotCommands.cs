using System.CommandLine;
using MetaStore.Engine.Snapshots;
using MetaStore.Net;
using MetaStore.Server.Output;
using MetaStore.Server.Serving;
using MetaStore.Wal;

namespace MetaStore.Server.CommandLine;

/// <summary>snapshot save, status and restore.</summary>
internal static class SnapshotCommands
{
    private const string PartSuffix = ".part";

    public static Command Snapshot(ClientFlags flags) => new("snapshot", "copies of all that a node has, in a file") { Save(flags), Status(flags), Restore(flags.Io) };

    private static Command Save(ClientFlags flags)
    {
        var file = new Argument<string>("FILE") { Description = "where to; a file that is there is replaced once the new one is whole" };
        var command = new Command("save", "save what one node has, while it serves; --endpoints must name that one node") { file };
        flags.AddTo(command, withFormat: false);
        command.SetAction((result, cancel) => SaveAsync(flags, result, result.GetValue(file)!, cancel));
        return command;
    }

    private static Command Status(ClientFlags flags)
    {
        var file = new Argument<string>("FILE") { Description = "a file that \"snapshot save\" made, or etcdctl's from this store" };
        var command = new Command("status", "check all of a saved snapshot, and say what it holds: the hash of its keys as \"endpoint hashkv\" gives it, revision, keys, size. Exit code: 0 sound, 4 damaged")
        {
            file,
        };
        flags.AddFormatTo(command);
        command.SetAction(async (result, cancel) =>
        {
            IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
            printer.SnapshotStatus(Checked(() => SavedSnapshot.Read(new NativeDisk(), result.GetValue(file)!)));
            await flags.Io.Output.WriteAsync(printer.Finish(), cancel);
            return ExitCode.Success;
        });
        return command;
    }

    private static Command Restore(ProgramIo io)
    {
        var file = new Argument<string>("FILE") { Description = "the saved snapshot, the same for all members" };
        Option<string?> directory = Flags.Text("--data-dir", "the new data directory, which must be empty or not be there [default: NAME.metastore]");
        Option<string> name = Flags.Text("--name", "this member's name", "default");
        Option<string?> cluster = Flags.Text("--initial-cluster", "all members of the new cluster, the same on each: n1=http://host:2380,n2=… [default: this one alone]");
        Option<string> token = Flags.Text("--initial-cluster-token", "tells clusters with equal members apart, the same on each member", "metastore-cluster");
        Option<string?> advertised = Flags.Text("--initial-advertise-peer-urls", "where the other members reach it [default: as --initial-cluster says, else http://127.0.0.1:2380]");
        Option<long> bump = Flags.Number("--bump-revision", "raise the revision by so much, so that clients which have seen more than the snapshot holds are not misled; with --mark-compacted", 0, 0, 1L << 62);
        Option<bool> mark = Flags.Switch("--mark-compacted", "with --bump-revision: all history is compacted, so that watches which resume hear of it");
        Option<bool> skip = Flags.Switch("--skip-hash-check", "do not ask for the SHA-256 behind a file that etcdctl saved; the checksums in other files always count");
        var command = new Command(
            "restore",
            "make the data directory of a member of a new cluster from a saved snapshot. For each member once, with its name; then \"serve\" is started with the same --name, --initial-cluster and "
            + "--initial-cluster-token. Cluster and members get new ids; sessions are gone, leases begin anew. Exit code: 0 restored, 4 the snapshot is damaged, 5 the directory cannot be used")
        {
            file, directory, name, cluster, token, advertised, bump, mark, skip,
        };
        command.SetAction(async (result, cancel) =>
        {
            var flags = new ServeFlagValues
            {
                Name = result.GetValue(name)!,
                DataDirectory = result.GetValue(directory),
                InitialCluster = result.GetValue(cluster),
                Token = result.GetValue(token)!,
                AdvertisePeerUrls = result.GetValue(advertised),
            };
            var options = new SnapshotRestoreOptions { RevisionBump = result.GetValue(bump), MarkCompacted = result.GetValue(mark), SkipHashCheck = result.GetValue(skip) };
            await io.Output.WriteAsync(Run(result.GetValue(file)!, ServeOptions.From(flags), options).Bytes, cancel);
            return ExitCode.Success;
        });
        return command;
    }

    private static async Task<int> SaveAsync(ClientFlags flags, ParseResult result, string file, CancellationToken cancel)
    {
        IReadOnlyList<string> endpoints = flags.Endpoints(result);
        if (endpoints.Count != 1)
        {
            throw new RefusalException(ExitCode.Usage, $"--endpoints names {endpoints.Count} nodes ({string.Join(", ", endpoints)}); a snapshot is one node's: name that one.");
        }

        string path = Path.GetFullPath(file);
        var disk = new NativeDisk();
        await using MetaStoreClient client = flags.Connect(result);
        if (disk.FileExists(path + PartSuffix))
        {
            disk.Delete(path + PartSuffix); // Of an attempt that was cut short.
        }

        IDiskFile part = disk.Create(path + PartSuffix);
        try
        {
            long offset = 0;
            await foreach (ReadOnlyMemory<byte> piece in client.SnapshotAsync(cancel))
            {
                part.Write(piece.Span, offset);
                offset += piece.Length;
            }

            SnapshotFile.Publish(disk, part, path);
        }
        catch (CorruptionException e)
        {
            throw new RefusalException(ExitCode.Failed, $"what came is no whole snapshot: {e.Message}", e);
        }
        finally
        {
            part.Dispose();
            if (disk.FileExists(path + PartSuffix))
            {
                disk.Delete(path + PartSuffix); // Not whole: else it has its name by now.
            }
        }

        var text = new ByteText();
        text.Line($"Snapshot saved at {file}");
        await flags.Io.Output.WriteAsync(text.Bytes, cancel);
        return ExitCode.Success;
    }

    private static ByteText Run(string file, ServeOptions serve, SnapshotRestoreOptions options)
    {
        if (options.MarkCompacted != options.RevisionBump > 0)
        {
            throw new RefusalException(ExitCode.Usage, "--bump-revision and --mark-compacted belong together: with one alone, watches that resume would wait for what has happened already.");
        }

        string directory = serve.Node.DataDirectory;
        if (File.Exists(directory) || (Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any()))
        {
            throw new RefusalException(ExitCode.UnusableData, $"--data-dir {directory} is not empty; a snapshot is restored into a directory of its own.");
        }

        RestoredMember restored = Checked(() => SnapshotRestore.Run(new NativeDisk(), file, serve.Node, options));
        var text = new ByteText();
        text.Line(
            $"restored {file} into {directory}: cluster {restored.Identity.ClusterId:x16}, node {restored.Identity.NodeId:x16}, members {restored.MemberCount}, "
            + $"revision {restored.Revision}, keys {restored.KeyCount}");
        return text;
    }

    private static T Checked<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (CorruptionException e)
        {
            throw new RefusalException(ExitCode.DamagedData, e.Message, e);
        }
        catch (WalVersionException e)
        {
            throw new RefusalException(ExitCode.ForeignData, e.Message, e);
        }
        catch (DiskException e)
        {
            throw new RefusalException(ExitCode.UnusableData, e.Message, e);
        }
        catch (ArgumentException e)
        {
            throw new RefusalException(ExitCode.Usage, e.Message, e);
        }
    }
}
