using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MetaStore.Server.CommandLine;

/// <summary>A program that runs while a lock is held, with this one's standard input, output and error.</summary>
internal sealed class HeldProgram : IDisposable
{
    private const int SigTerm = 15;

    private readonly Process _process;

    private HeldProgram(Process process)
    {
        _process = process;
    }

    /// <exception cref="RefusalException">It cannot be started.</exception>
    public static HeldProgram Start(IReadOnlyList<string> command, IEnumerable<KeyValuePair<string, string>> variables)
    {
        var start = new ProcessStartInfo(command[0]) { UseShellExecute = false };
        foreach (string argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        if (command.FirstOrDefault(argument => !ArgumentText.IsText(argument)) is { } bytes)
        {
            throw new RefusalException(ExitCode.Usage, $"\"{bytes}\" is not valid UTF-8, and cannot be handed on to {command[0]}.");
        }

        try
        {
            return new HeldProgram(Process.Start(start)!);
        }
        catch (Win32Exception e)
        {
            throw new RefusalException(ExitCode.Failed, $"cannot run {command[0]}: {e.Message}", e);
        }
    }

    /// <summary>Ends with its exit code; 128 + n where signal n ended it.</summary>
    public async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    /// <summary>Asks it to end.</summary>
    public void Terminate()
    {
        if (OperatingSystem.IsWindows())
        {
            _process.Kill();
        }
        else if (!_process.HasExited)
        {
            _ = Kill(_process.Id, SigTerm); // It may end just now, by itself: then there is nobody to ask. Its id is not given to another so soon.
        }
    }

    /// <summary>Ends it, and what it has started.</summary>
    public void Kill() => _process.Kill(entireProcessTree: true);

    public void Dispose() => _process.Dispose();

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int processId, int signal);
}
