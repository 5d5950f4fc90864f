namespace MetaStore.Testing.Processes;

/// <summary>What becomes of the bytes on a link that is cut.</summary>
public enum LinkCut
{
    /// <summary>They wait, and go on when the link heals: a network that is slow beyond measure.</summary>
    Hold,

    /// <summary>Connections stay open and new ones are taken, but nothing passes; when the link heals they are closed, and what waited is lost.</summary>
    Lose,

    /// <summary>Connections are closed at once, and new ones after their first bytes.</summary>
    Refuse,
}

/// <summary>Which bytes a cut stops.</summary>
[Flags]
public enum LinkDirections
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>From the one who connected.</summary>
    Forward = 1,

    /// <summary>To the one who connected.</summary>
    Backward = 2,

    /// <summary>All.</summary>
    Both = Forward | Backward,
}

/// <summary>What the connections of one source to one target pass through.</summary>
internal sealed class LinkGate
{
    private readonly Lock _gate = new();
    private readonly HashSet<LinkConnection> _connections = [];
    private LinkCut? _cut;
    private LinkDirections _stopped;
    private TaskCompletionSource _healed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Cut(LinkCut cut, LinkDirections directions)
    {
        LinkConnection[] closing;
        lock (_gate)
        {
            _cut = cut;
            _stopped = directions;
            closing = cut == LinkCut.Refuse ? [.. _connections] : [];
        }

        Array.ForEach(closing, connection => connection.Close());
    }

    public void Heal()
    {
        LinkConnection[] closing;
        TaskCompletionSource healed;
        lock (_gate)
        {
            closing = _cut == LinkCut.Lose ? [.. _connections] : [];
            healed = _healed;
            _healed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _cut = null;
            _stopped = LinkDirections.None;
        }

        // Closed before anybody who waits is let go, so that nothing slips out of what is to be lost.
        Array.ForEach(closing, connection => connection.Close());
        healed.SetResult();
    }

    /// <summary>False where connections are refused.</summary>
    public bool TryEnter(LinkConnection connection)
    {
        lock (_gate)
        {
            return _cut != LinkCut.Refuse && _connections.Add(connection);
        }
    }

    public void Leave(LinkConnection connection)
    {
        lock (_gate)
        {
            _connections.Remove(connection);
        }
    }

    /// <summary>Returns when bytes of this direction may pass.</summary>
    public async ValueTask PassAsync(LinkDirections direction, CancellationToken closed)
    {
        while (IsStopped(direction, out Task healed))
        {
            await healed.WaitAsync(closed);
        }
    }

    private bool IsStopped(LinkDirections direction, out Task healed)
    {
        lock (_gate)
        {
            healed = _healed.Task;
            return (_stopped & direction) != LinkDirections.None;
        }
    }
}
