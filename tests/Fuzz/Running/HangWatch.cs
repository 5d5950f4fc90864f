namespace MetaStore.Fuzz.Running;

/// <summary>Ends the process where one input takes longer than any should, and says which: a reader that never ends would hold up everything for ever.</summary>
internal sealed class HangWatch : IDisposable
{
    private static readonly TimeSpan s_most = TimeSpan.FromMinutes(3);

    private readonly string _target;
    private readonly Timer _timer;
    private byte[]? _input;
    private bool _wasSeen;

    public HangWatch(string target)
    {
        _target = target;
        _timer = new Timer(_ => Look(), null, s_most, s_most);
    }

    public void Begin(byte[] input)
    {
        Volatile.Write(ref _wasSeen, false);
        Volatile.Write(ref _input, input);
    }

    public void End() => Volatile.Write(ref _input, null);

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (Volatile.Read(ref _input) is not { } input)
        {
            return;
        }

        // Seen twice, it has been at it for one period at least.
        if (Volatile.Read(ref _wasSeen))
        {
            string file = new CorpusFolder(CorpusFolder.Artifacts).Keep(_target, input);
            Environment.FailFast($"{_target}: an input takes more than {s_most.TotalMinutes} minutes: {file}");
        }

        Volatile.Write(ref _wasSeen, true);
    }
}
