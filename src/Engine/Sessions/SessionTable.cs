using System.Collections.Immutable;

namespace MetaStore.Engine.Sessions;

/// <summary>What came of a request: the encoded answer (<see cref="AnswerCodec"/>), or the error; neither where the answer was too large to keep.</summary>
internal sealed record KeptAnswer(byte[]? Answer, MetaStoreError Error);

/// <summary>One session, as of some point of the log.</summary>
/// <param name="Id">Its id.</param>
/// <param name="LastUsed">Log index of its last request.</param>
/// <param name="Floor">Requests below are acknowledged: never applied (again), and their answers forgotten.</param>
/// <param name="Answers">By request number, none below the floor.</param>
internal sealed record Session(ulong Id, ulong LastUsed, ulong Floor, ImmutableSortedDictionary<ulong, KeptAnswer> Answers)
{
    /// <summary>Forgets the answers to the requests below.</summary>
    public Session Acknowledge(ulong below)
    {
        if (below <= Floor)
        {
            return this;
        }

        ImmutableSortedDictionary<ulong, KeptAnswer>.Builder answers = Answers.ToBuilder();
        while (answers.Count > 0 && answers.Keys.First() is ulong first && first < below)
        {
            answers.Remove(first);
        }

        return this with { Floor = below, Answers = answers.ToImmutable() };
    }
}

/// <summary>
/// All sessions: part of the replicated state, changed by the apply loop alone. Immutable, so that a view of the store holds its sessions as
/// it holds its keys, and a snapshot of the view is whole without holding anybody up.
/// </summary>
internal sealed class SessionTable
{
    private readonly ImmutableSortedDictionary<ulong, Session> _sessions;

    private SessionTable(ImmutableSortedDictionary<ulong, Session> sessions, ulong lastId)
    {
        _sessions = sessions;
        LastId = lastId;
    }

    public static SessionTable Empty { get; } = new(ImmutableSortedDictionary<ulong, Session>.Empty, 0);

    /// <summary>The last id that was given out.</summary>
    public ulong LastId { get; }

    public int Count => _sessions.Count;

    /// <summary>By id.</summary>
    public IEnumerable<Session> All => _sessions.Values;

    public static SessionTable Restore(IEnumerable<Session> sessions, ulong lastId) =>
        new(sessions.ToImmutableSortedDictionary(session => session.Id, session => session), lastId);

    public Session? Find(ulong id) => _sessions.GetValueOrDefault(id);

    /// <summary>A new session, with the next id. Those that were not used for longest make room for it.</summary>
    public SessionTable Open(ulong index, uint sessionsMax)
    {
        ulong id = LastId + 1;
        ImmutableSortedDictionary<ulong, Session>.Builder sessions = _sessions.ToBuilder();
        while (sessions.Count > 0 && sessions.Count >= sessionsMax)
        {
            sessions.Remove(sessions.Values.MinBy(session => (session.LastUsed, session.Id))!.Id);
        }

        sessions.Add(id, new Session(id, index, 0, ImmutableSortedDictionary<ulong, KeptAnswer>.Empty));
        return new SessionTable(sessions.ToImmutable(), id);
    }

    public SessionTable With(Session session) => new(_sessions.SetItem(session.Id, session), LastId);

    public SessionTable Without(ulong id) => new(_sessions.Remove(id), LastId);
}
