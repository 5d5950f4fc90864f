namespace MetaStore.Etcd.Services;

/// <summary>
/// Cancels the streams that asked for it once this member has known no leader for three looks, one election timeout apart (etcd's monitorLeader). Looks only while there
/// are such streams.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="interval">An election timeout.</param>
/// <param name="hasLeader">Whether the member knows who leads.</param>
internal sealed class LeaderWatch(TimeProvider time, TimeSpan interval, Func<bool> hasLeader)
{
    private const int LooksMax = 3;

    private readonly Lock _gate = new();
    private readonly HashSet<CancellationTokenSource> _streams = [];
    private ITimer? _timer;
    private int _looksWithout;

    /// <summary>Cancels the source when the leader has been gone for long, until the registration is disposed.</summary>
    public Registration Register(CancellationTokenSource stream)
    {
        lock (_gate)
        {
            _streams.Add(stream);
            _timer ??= time.CreateTimer(static state => ((LeaderWatch)state!).Look(), this, interval, interval);
        }

        return new Registration(this, stream);
    }

    private void Look()
    {
        CancellationTokenSource[] lost;
        lock (_gate)
        {
            _looksWithout = hasLeader() ? 0 : _looksWithout + 1;
            if (_looksWithout < LooksMax)
            {
                return;
            }

            lost = [.. _streams];
            _streams.Clear();
            StopIfIdle();
        }

        foreach (CancellationTokenSource stream in lost)
        {
            try
            {
                stream.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The stream has just ended by itself.
            }
        }
    }

    private void Leave(CancellationTokenSource stream)
    {
        lock (_gate)
        {
            _streams.Remove(stream);
            StopIfIdle();
        }
    }

    private void StopIfIdle()
    {
        if (_streams.Count == 0)
        {
            _timer?.Dispose();
            _timer = null;
            _looksWithout = 0;
        }
    }

    /// <summary>A stream's place in the watch.</summary>
    public readonly struct Registration(LeaderWatch owner, CancellationTokenSource stream) : IDisposable
    {
        public void Dispose() => owner.Leave(stream);
    }
}
