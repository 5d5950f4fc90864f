using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>A file system of few megabytes, in memory. Only root may mount one.</summary>
internal sealed class TinyDisk : IDisposable
{
    private TinyDisk(string path)
    {
        Path = path;
    }

    public string Path { get; }

    public static TinyDisk Mount(string path, int megabytes)
    {
        Requires.Program("mount", "mount");
        Directory.CreateDirectory(path);
        bool isMounted = Environment.IsPrivilegedProcess && Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "tmpfs", path);
        Requires.That(isMounted, "a full disk needs a tmpfs: run as root, with the right to mount (a container may lack it), and with the package mount: apt-get install mount");
        return new TinyDisk(path);
    }

    public void Grow(int megabytes) => Assert.True(Run("mount", "-o", $"remount,size={megabytes}m", Path));

    public void Dispose() => Run("umount", Path);

    private static bool Run(params string[] command) => ChildProcess.RunAsync(command).GetAwaiter().GetResult().ExitCode == 0;
}
