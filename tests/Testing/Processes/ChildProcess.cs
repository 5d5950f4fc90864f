using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace MetaStore.Testing.Processes;

/// <summary>A process that a test started: its output, its end, and signals to it, by its id alone.</summary>
public sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly Lock _gate = new();
    private readonly Task _outputRead;
    private readonly Task _errorsRead;

    private ChildProcess(Process process)
    {
        _process = process;
        _outputRead = ReadAsync(process.StandardOutput, _output);
        _errorsRead = ReadAsync(process.StandardError, _errors);
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Output => Snapshot(_output);

    public string Errors => Snapshot(_errors);

    public Stream Input => _process.StandardInput.BaseStream;

    /// <param name="command">The program and its arguments.</param>
    /// <param name="workingDirectory">Where it runs; null: here.</param>
    /// <param name="outputEncoding">Of standard output; null: UTF-8. Latin-1 keeps each byte.</param>
    public static ChildProcess Start(IReadOnlyList<string> command, string? workingDirectory = null, Encoding? outputEncoding = null)
    {
        var start = new ProcessStartInfo(command[0])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? string.Empty,
            StandardOutputEncoding = outputEncoding,
        };
        foreach (string argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment.Remove("METASTORE_ENDPOINTS");
        return new ChildProcess(Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} did not start."));
    }

    /// <summary>Runs to the end, with some bytes on standard input.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(
        IReadOnlyList<string> command, byte[]? input = null, string? workingDirectory = null, Encoding? outputEncoding = null)
    {
        await using ChildProcess child = Start(command, workingDirectory, outputEncoding);
        await child.Input.WriteAsync(input ?? []);
        child.Input.Close();
        int exitCode = await child.WaitForExitAsync();
        return (exitCode, child.Output, child.Errors);
    }

    /// <summary>Ends with the exit code; 128 + n where signal n ended it.</summary>
    public async Task<int> WaitForExitAsync(TimeSpan? patience = null)
    {
        try
        {
            await _process.WaitForExitAsync().WaitAsync(patience ?? Deadline.Generous);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"Process {Id} did not end. It said: {Output}{Errors}", e);
        }

        await Task.WhenAll(_outputRead, _errorsRead);
        return _process.ExitCode;
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await WaitForExitAsync();
    }

    /// <summary>Sends a signal, TERM or INT, to this process or, under strace, to the one it runs.</summary>
    public async Task SignalAsync(string signal, int? processId = null)
    {
        using Process kill = Process.Start("kill", ["-" + signal, (processId ?? Id).ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            // With its own children: strace's death alone would leave the program running.
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private string Snapshot(StringBuilder text)
    {
        lock (_gate)
        {
            return text.ToString();
        }
    }

    private async Task ReadAsync(StreamReader from, StringBuilder to)
    {
        var buffer = new char[4096];
        for (int read = await from.ReadAsync(buffer); read > 0; read = await from.ReadAsync(buffer))
        {
            lock (_gate)
            {
                to.Append(buffer, 0, read);
            }
        }
    }
}
