using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Sessions;

/// <summary>
/// Applies requests, those of sessions at most once each. Stands in front of <see cref="RequestApplier"/> on the apply loop. What is remembered
/// depends on the log alone, so every member remembers the same.
/// </summary>
internal sealed class SessionApplier(MvccStore store, RequestApplier requests)
{
    /// <summary>The entry that is being applied: its index and term.</summary>
    public void Begin(ulong index, ulong term)
    {
        Index = index;
        requests.Index = index;
        requests.Term = term;
    }

    private ulong Index { get; set; }

    /// <summary>See <see cref="RequestApplier.Expect"/>.</summary>
    public void Expect(ReadOnlySpan<StoreRequest> next) => requests.Expect(next);

    /// <summary>Applies the request. Where <paramref name="wantResponse"/> is false nobody waits for the answer and none need be made.</summary>
    public ApplyResult Apply(StoreRequest request, bool wantResponse) => request switch
    {
        SessionRequest numbered => Apply(numbered),
        OpenSessionRequest open => Open(open),
        CloseSessionRequest close => Close(close),
        _ => requests.Apply(request, wantResponse),
    };

    private ApplyResult Open(OpenSessionRequest request)
    {
        store.Change(store.Sessions.Open(Index, request.Limits), request.Limits.SessionsMax);
        return ApplyResult.Done(new OpenSessionResponse { Header = requests.FullHeader(), SessionId = store.Sessions.LastId });
    }

    private ApplyResult Close(CloseSessionRequest request)
    {
        store.Change(store.Sessions.Without(request.SessionId), request.SessionId);
        return ApplyResult.Done(new CloseSessionResponse { Header = requests.FullHeader() });
    }

    private ApplyResult Apply(SessionRequest request)
    {
        if (store.Sessions.Find(request.SessionId) is not { } known)
        {
            return ApplyResult.Failed(MetaStoreError.SessionNotFound);
        }

        Session session = known.Acknowledge(request.AcknowledgedBelow) with { LastUsed = Index };
        ApplyResult result = Apply(request, ref session);
        KeptAnswer? kept = session.Answers.GetValueOrDefault(request.Sequence);
        store.Change(store.Sessions.With(session), request.SessionId ^ request.Sequence ^ (ulong)(kept?.Error ?? default), kept?.Answer);
        return result;
    }

    private ApplyResult Apply(SessionRequest request, ref Session session)
    {
        if (request.Sequence < session.Floor)
        {
            return ApplyResult.Failed(MetaStoreError.SessionSequenceTooOld);
        }

        if (session.Answers.TryGetValue(request.Sequence, out KeptAnswer? kept))
        {
            return Again(kept);
        }

        if (!session.Takes(request.Sequence))
        {
            return ApplyResult.Failed(MetaStoreError.SessionFull);
        }

        ApplyResult result = requests.Apply(request.Request, wantResponse: true);
        byte[]? answer = result.IsFailed ? null : AnswerCodec.Encode(result.Response!, session.AnswerBytesMax);
        session = session.Keep(request.Sequence, new KeptAnswer(answer, result.Error));
        return result.IsFailed ? result : Answered(result.Response!, isRepeated: false);
    }

    private ApplyResult Again(KeptAnswer kept)
    {
        if (kept.Answer is not null)
        {
            return Answered(AnswerCodec.Decode(kept.Answer, requests.FullHeader()), isRepeated: true);
        }

        return ApplyResult.Failed(kept.Error != default ? kept.Error : MetaStoreError.AnswerNotKept);
    }

    private ApplyResult Answered(StoreResponse answer, bool isRepeated) =>
        ApplyResult.Done(new SessionResponse { Header = requests.FullHeader(), Answer = answer, IsRepeated = isRepeated });
}
