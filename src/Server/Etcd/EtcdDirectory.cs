namespace MetaStore.Server.Etcd;

/// <summary>Tells a data directory that etcd has written: whoever changes the program's name alone must not find an empty store beside his data.</summary>
internal static class EtcdDirectory
{
    private const string Member = "member";

    private static readonly string[] s_parts = ["wal", "snap"];

    /// <exception cref="RefusalException">etcd's data is there; the message says what to do.</exception>
    public static void Refuse(string path)
    {
        if (s_parts.Any(part => Directory.Exists(Path.Combine(path, Member, part))))
        {
            throw new RefusalException(
                ExitCode.Usage,
                $"--data-dir {path} holds etcd's data ({Path.Combine(path, Member)}), which this store does not read; give a directory of its own, and copy the keys with both running: "
                + "etcdctl make-mirror --endpoints=ETCD THIS.");
        }
    }
}
