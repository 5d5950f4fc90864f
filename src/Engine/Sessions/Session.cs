using System.Collections.Immutable;

namespace MetaStore.Engine.Sessions;

/// <summary>What came of a request: the encoded answer (<see cref="AnswerCodec"/>), or the error; neither where the answer was too large to keep.</summary>
internal sealed record KeptAnswer(byte[]? Answer, MetaStoreError Error)
{
    public int Length => Answer?.Length ?? 0;
}

/// <summary>
/// One session, as of some point of the log. Invariant: the kept requests lie in a window of <see cref="SessionRequest.UnacknowledgedMax"/> numbers from
/// the floor on, so there are never more; and their answers have at most <see cref="KeptBytesMax"/> bytes.
/// </summary>
internal sealed record Session
{
    // About what the objects behind a session, and behind a kept request, take in memory; in a snapshot it is less.
    private const int OverheadBytes = 256;
    private const int AnswerOverheadBytes = 128;

    private Session(ulong id, ulong lastUsed, ulong floor, uint keptBytesMax, ImmutableSortedDictionary<ulong, KeptAnswer> answers, long keptBytes)
    {
        Id = id;
        LastUsed = lastUsed;
        Floor = floor;
        KeptBytesMax = keptBytesMax;
        Answers = answers;
        KeptBytes = keptBytes;
    }

    public ulong Id { get; }

    /// <summary>Log index of its last request.</summary>
    public ulong LastUsed { get; init; }

    /// <summary>Requests below are acknowledged: never applied (again), and their answers forgotten.</summary>
    public ulong Floor { get; private init; }

    /// <summary>Bytes of its answers that are kept at most; given by the entry that opened it.</summary>
    public uint KeptBytesMax { get; }

    /// <summary>By request number, none below the floor.</summary>
    public ImmutableSortedDictionary<ulong, KeptAnswer> Answers { get; private init; }

    /// <summary>Bytes of the answers.</summary>
    public long KeptBytes { get; private init; }

    /// <summary>What the session counts for in the table. Depends on nothing but the log, so that all members count the same.</summary>
    public ulong Bytes => OverheadBytes + ((ulong)Answers.Count * AnswerOverheadBytes) + (ulong)KeptBytes;

    /// <summary>Bytes that an answer may have to be kept now.</summary>
    public int AnswerBytesMax => (int)Math.Min(SessionRequest.KeptAnswerBytesMax, KeptBytesMax - KeptBytes);

    public static Session Open(ulong id, ulong index, uint keptBytesMax) =>
        new(id, index, 0, keptBytesMax, ImmutableSortedDictionary<ulong, KeptAnswer>.Empty, 0);

    public static Session Restore(ulong id, ulong lastUsed, ulong floor, uint keptBytesMax, ImmutableSortedDictionary<ulong, KeptAnswer> answers) =>
        new(id, lastUsed, floor, keptBytesMax, answers, answers.Values.Sum(kept => (long)kept.Length));

    /// <summary>
    /// Whether the number lies in the window. It begins at the lowest number that may still be sent, so that one is always in it: a write that holds all others
    /// up can itself not be held up.
    /// </summary>
    public bool Takes(ulong sequence) => sequence >= Floor && sequence - Math.Max(Floor, 1) < SessionRequest.UnacknowledgedMax;

    /// <summary>Forgets the answers to the requests below.</summary>
    public Session Acknowledge(ulong below)
    {
        if (below <= Floor)
        {
            return this;
        }

        ImmutableSortedDictionary<ulong, KeptAnswer>.Builder answers = Answers.ToBuilder();
        long bytes = KeptBytes;
        while (answers.Count > 0 && answers.Keys.First() is ulong first && first < below)
        {
            bytes -= answers[first].Length;
            answers.Remove(first);
        }

        return this with { Floor = below, Answers = answers.ToImmutable(), KeptBytes = bytes };
    }

    /// <summary>Keeps what came of a request.</summary>
    public Session Keep(ulong sequence, KeptAnswer answer)
    {
        Invariant.Check(Takes(sequence), $"request {sequence} of session {Id} is kept, with the floor at {Floor}");
        Invariant.Check(answer.Length <= AnswerBytesMax, $"an answer of {answer.Length} bytes is kept where session {Id} has room for {AnswerBytesMax}");
        return this with { Answers = Answers.Add(sequence, answer), KeptBytes = KeptBytes + answer.Length };
    }
}
