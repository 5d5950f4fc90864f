using System.Runtime.InteropServices;

namespace MetaStore.Server.CommandLine;

/// <summary>SIGTERM or SIGINT to a node, or a command that holds something: the first asks it to give that up and end, the second ends the process as the system does.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly TaskCompletionSource<PosixSignal> _came = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PosixSignalRegistration _terminate;
    private readonly PosixSignalRegistration _interrupt;

    public Interruption()
    {
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
    }

    /// <summary>Ends with the first of them.</summary>
    public Task<PosixSignal> Came => _came.Task;

    public void Dispose()
    {
        _terminate.Dispose();
        _interrupt.Dispose();
    }

    /// <summary>Waits for what is under way; a signal that comes before makes it give up.</summary>
    /// <exception cref="RefusalException">It gave up; <paramref name="what"/> says what was waited for.</exception>
    public async Task<T> OrGiveUpAsync<T>(Func<CancellationToken, ValueTask<T>> begin, string what, CancellationToken cancel)
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task<T> underWay = begin(giveUp.Token).AsTask();
        if (await Task.WhenAny(underWay, Came) != underWay)
        {
            await giveUp.CancelAsync();
        }

        try
        {
            return await underWay;
        }
        catch (OperationCanceledException e) when (Came.IsCompleted)
        {
            throw new RefusalException(ExitCode.Failed, $"interrupted before {what}", e);
        }
    }

    private void OnSignal(PosixSignalContext context) => context.Cancel = _came.TrySetResult(context.Signal);
}
