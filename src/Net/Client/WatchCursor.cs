using MetaStore.Engine;

namespace MetaStore.Net.Client;

/// <summary>
/// How far a watch has been told, whatever connections it came over: puts parts together, leaves out what a new connection says again, and knows where the next one has
/// to begin. Not thread safe.
/// </summary>
internal sealed class WatchCursor(WatchRequest request)
{
    private readonly List<WatchEvent> _parts = [];
    private long _next = request.StartRevision.Value;
    private long _partOf;   // The revision of which a part was told; only where the caller takes parts.
    private int _partCount; // How many events of it.
    private int _skip;      // How many of them the connection in use will say again.

    /// <summary>The first response of all has come.</summary>
    public bool IsCreated { get; private set; }

    /// <summary>
    /// What to ask of a connection. Word of progress is always asked for, so that a watch whose keys are quiet does not fall behind compactions, and parts, so that a
    /// frame carries them.
    /// </summary>
    public WatchRequest Begin()
    {
        _parts.Clear();
        _skip = _partCount;
        long start = _partCount > 0 ? _partOf : _next;
        return request with { StartRevision = new Revision(KnownBugs.WatchResumedAtTheLastRevision && IsCreated ? start - 1 : start), ProgressNotify = true, Fragment = true, RequireLeader = true };
    }

    /// <summary>Takes a response in. False: there is nothing to tell the caller (yet).</summary>
    public bool TryTake(WatchResponse response, out WatchResponse told)
    {
        told = response;
        if (response.IsCreated)
        {
            bool isFirst = !IsCreated;
            IsCreated = true;
            if (isFirst && _next == 0)
            {
                _next = response.Header.Revision.Value + 1;
            }

            return isFirst;
        }

        if (response.IsProgress)
        {
            _next = Math.Max(_next, response.Header.Revision.Value + 1);
            return request.ProgressNotify;
        }

        return request.Fragment ? TakePart(ref told) : TakeWhole(ref told);
    }

    private bool TakeWhole(ref WatchResponse response)
    {
        _parts.AddRange(response.Events);
        if (response.Fragment)
        {
            return false;
        }

        response = response with { Events = [.. _parts] };
        _parts.Clear();
        _next = response.Header.Revision.Value + 1;
        return true;
    }

    private bool TakePart(ref WatchResponse response)
    {
        int skipped = 0;
        while (_skip > 0 && skipped < response.Events.Count && response.Events[skipped].KeyValue.ModRevision.Value == _partOf)
        {
            skipped++;
            _skip--;
        }

        if (skipped > 0)
        {
            response = response with { Events = [.. response.Events.Skip(skipped)] };
        }

        if (!response.Fragment)
        {
            _next = response.Header.Revision.Value + 1;
            _partCount = 0;
            return true; // Without events too, perhaps: it ends the parts that were told.
        }

        foreach (WatchEvent e in response.Events)
        {
            long revision = e.KeyValue.ModRevision.Value;
            _partCount = revision == _partOf ? _partCount + 1 : 1;
            _partOf = revision;
        }

        return response.Events.Count > 0;
    }
}
