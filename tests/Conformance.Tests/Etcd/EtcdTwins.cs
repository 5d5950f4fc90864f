using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>etcd and this store, started with the same flags, for the same requests.</summary>
internal sealed class EtcdTwins : IAsyncDisposable
{
    private readonly RealEtcd _etcd;
    private readonly TestDirectory _directory;
    private readonly ServerProcess[] _servers;

    private EtcdTwins(RealEtcd etcd, TestDirectory directory, EtcdFlags flags, ServerProcess[] servers)
    {
        _etcd = etcd;
        _directory = directory;
        _servers = servers;
        Etcd = new Twin("etcd", etcd.Flags);
        Here = new Twin("here", flags);
    }

    public Twin Etcd { get; }

    public Twin Here { get; }

    public IReadOnlyList<Twin> Both => [Etcd, Here];

    public static async Task<EtcdTwins> StartAsync(int size = 1)
    {
        Requires.Program("etcd", "etcd-server");
        Requires.Program("etcdctl", "etcd-client");
        RealEtcd etcd = await RealEtcd.StartAsync(size);
        var directory = new TestDirectory();
        var flags = new EtcdFlags(size);
        ServerProcess[] servers = await Task.WhenAll(Enumerable.Range(0, size).Select(member => ServerProcess.StartAsync(flags.Of(member, directory))));
        var twins = new EtcdTwins(etcd, directory, flags, servers);
        await Deadline.UntilAsync(async () => (await twins.Here.RunAsync("endpoint health", string.Empty)).ExitCode == 0, "this store is healthy");
        await Deadline.UntilAsync(async () => !(await twins.Here.RunAsync("member list", string.Empty)).Output.Contains(", ,", StringComparison.Ordinal), "all members have told their addresses");
        await Task.WhenAll(twins.Both.Select(twin => twin.LearnMembersAsync()));
        return twins;
    }

    /// <summary>Asks both, step by step; all steps are done, however many differ.</summary>
    public async Task CompareAsync(string script)
    {
        var differences = new List<string>();
        foreach (ScriptStep step in ScriptStep.Read(script))
        {
            Answer[] answers = await Task.WhenAll(Both.Select(twin => twin.AskAsync(step)));
            bool isRight = step is { Theirs: { } theirs, Ours: { } ours }
                ? answers[0].Contains(theirs) && answers[1].Contains(ours) && !answers[1].Contains(theirs)
                : answers[0] == answers[1];
            if (!isRight)
            {
                differences.Add($"{step.Place}: {step.Command}\n  etcd: {answers[0]}\n  here: {answers[1]}");
            }
        }

        Assert.True(differences.Count == 0, $"{differences.Count} answers are not as they should be:\n{string.Join('\n', differences)}");
    }

    public async ValueTask DisposeAsync()
    {
        Etcd.Dispose();
        Here.Dispose();
        foreach (ServerProcess server in _servers)
        {
            await server.DisposeAsync();
        }

        await _etcd.DisposeAsync();
        _directory.Dispose();
    }
}
