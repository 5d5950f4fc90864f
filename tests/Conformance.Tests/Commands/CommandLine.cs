using System.Text;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Commands;

/// <summary>The program's commands, and etcdctl's, at the same servers.</summary>
internal sealed class CommandLine(params string[] endpoints)
{
    private string Endpoints => string.Join(',', endpoints.Select(endpoint => $"http://{endpoint}"));

    /// <summary>A command that goes on until it is stopped.</summary>
    public ChildProcess Start(params string[] words) => ChildProcess.Start(Ours(words), outputEncoding: Encoding.Latin1);

    public ChildProcess StartEtcdctl(params string[] words) => ChildProcess.Start(Theirs(words), outputEncoding: Encoding.Latin1);

    public Task<(int ExitCode, string Output, string Errors)> AskAsync(params string[] words) => ChildProcess.RunAsync(Ours(words), outputEncoding: Encoding.Latin1);

    public Task<(int ExitCode, string Output, string Errors)> AskEtcdctlAsync(params string[] words) => ChildProcess.RunAsync(Theirs(words), outputEncoding: Encoding.Latin1);

    /// <summary>What it prints; it must succeed, without a word of complaint.</summary>
    public async Task<string> RunAsync(params string[] words)
    {
        (int exitCode, string output, string errors) = await AskAsync(words);
        Assert.True(exitCode == 0 && errors.Length == 0, $"{string.Join(' ', words)}: exit code {exitCode}\n{output}{errors}");
        return output;
    }

    /// <summary>"snapshot status", which asks no server.</summary>
    public async Task<string> RunStatusAsync(string file)
    {
        (int exitCode, string output, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "snapshot", "status", file]);
        Assert.True(exitCode == 0, errors);
        return output;
    }

    private string[] Ours(string[] words)
    {
        // Behind the words that name the command: behind them there may be a program.
        int verbs = words[0] is "endpoint" or "snapshot" or "alarm" or "lease" or "member" or "check" ? 2 : 1;
        string[] patience = words.Contains("--command-timeout") ? [] : ["--command-timeout", "60s"]; // The machine may be busy.
        return [.. ProgramPath.Find(), .. words[..verbs], "--endpoints", Endpoints, .. patience, .. words[verbs..]];
    }

    private string[] Theirs(string[] words) => ["etcdctl", "--endpoints", Endpoints, .. words];
}
