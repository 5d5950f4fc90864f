using System.Collections.Immutable;

namespace MetaStore.Engine.Sessions;

/// <summary>
/// All sessions: part of the replicated state, changed by the apply loop alone. Immutable, so that a view of the store holds its sessions as
/// it holds its keys, and a snapshot of the view is whole without holding anybody up. Invariant: no more sessions than <see cref="Limits"/> say, and no more
/// bytes, unless there is but one session.
/// </summary>
internal sealed class SessionTable
{
    private readonly ImmutableSortedDictionary<ulong, Session> _sessions;
    private readonly ImmutableSortedSet<(ulong LastUsed, ulong Id)> _byUse;

    private SessionTable(
        ImmutableSortedDictionary<ulong, Session> sessions, ImmutableSortedSet<(ulong LastUsed, ulong Id)> byUse, ulong lastId, SessionLimits limits, ulong bytes)
    {
        _sessions = sessions;
        _byUse = byUse;
        LastId = lastId;
        Limits = limits;
        Bytes = bytes;
    }

    public static SessionTable Empty { get; } = Restore([], 0, default);

    /// <summary>The last id that was given out.</summary>
    public ulong LastId { get; }

    /// <summary>Those of the newest entry that opened a session.</summary>
    public SessionLimits Limits { get; }

    /// <summary>What all sessions count for together (<see cref="Session.Bytes"/>).</summary>
    public ulong Bytes { get; }

    public int Count => _sessions.Count;

    /// <summary>By id.</summary>
    public IEnumerable<Session> All => _sessions.Values;

    public static SessionTable Restore(IReadOnlyCollection<Session> sessions, ulong lastId, SessionLimits limits) => new(
        sessions.ToImmutableSortedDictionary(session => session.Id, session => session),
        [.. sessions.Select(session => (session.LastUsed, session.Id))],
        lastId,
        limits,
        sessions.Aggregate(0ul, (sum, session) => sum + session.Bytes));

    public Session? Find(ulong id) => _sessions.GetValueOrDefault(id);

    /// <summary>A new session, with the next id. Those that were not used for longest make room for it.</summary>
    public SessionTable Open(ulong index, SessionLimits limits)
    {
        var opened = Session.Open(LastId + 1, index, limits.SessionKeptBytesMax);
        var table = new SessionTable(_sessions, _byUse, opened.Id, limits, Bytes);
        return table.With(opened);
    }

    /// <summary>The session as it is now. Those that were not used for longest make room for what it keeps.</summary>
    public SessionTable With(Session session)
    {
        Session? last = Find(session.Id);
        ImmutableSortedDictionary<ulong, Session> sessions = _sessions.SetItem(session.Id, session);
        ImmutableSortedSet<(ulong LastUsed, ulong Id)> byUse =
            last?.LastUsed == session.LastUsed ? _byUse : (last is null ? _byUse : _byUse.Remove((last.LastUsed, last.Id))).Add((session.LastUsed, session.Id));
        return new SessionTable(sessions, byUse, LastId, Limits, Bytes - (last?.Bytes ?? 0) + session.Bytes).WithinLimits(session.Id);
    }

    public SessionTable Without(ulong id) => Find(id) is { } session
        ? new SessionTable(_sessions.Remove(id), _byUse.Remove((session.LastUsed, id)), LastId, Limits, Bytes - session.Bytes)
        : this;

    /// <summary>Without the sessions that are too many. The one that is in use stays, whatever the others of its entry did.</summary>
    private SessionTable WithinLimits(ulong used)
    {
        SessionTable table = this;
        while (table.Count > 1 && (table.Count > Limits.SessionsMax || table.Bytes > Limits.TotalBytesMax))
        {
            ulong oldest = table._byUse[0].Id;
            table = table.Without(oldest != used ? oldest : table._byUse[1].Id);
        }

        return table;
    }
}
