namespace MetaStore.Engine.Transactions;

/// <summary>The exceptions for what can go wrong with a request at the store, with etcd's texts.</summary>
internal static class StoreErrors
{
    public static MetaStoreException ToException(MetaStoreError error, bool mayHaveBeenApplied = false) =>
        new(error, TextOf(error), error is MetaStoreError.AnswerNotKept or MetaStoreError.ResponseTooLarge || mayHaveBeenApplied ? Outcome.Unknown : Outcome.NotApplied);

    private static string TextOf(MetaStoreError error) => error switch
    {
        MetaStoreError.KeyNotFound => "key not found",
        MetaStoreError.Compacted => "required revision has been compacted",
        MetaStoreError.FutureRevision => "required revision is a future revision",
        MetaStoreError.LeaseNotFound => "requested lease not found",
        MetaStoreError.LeaseExists => "lease already exists",
        MetaStoreError.SessionNotFound => "requested session not found; open a new one",
        MetaStoreError.SessionSequenceTooOld => "the session has acknowledged a later request; this one is not applied",
        MetaStoreError.SessionFull => $"the request's number is {SessionRequest.UnacknowledgedMax} or more above what the session has acknowledged",
        MetaStoreError.AnswerNotKept => $"the request was applied before, once; its answer exceeded {SessionRequest.KeptAnswerBytesMax} bytes, or what its session may keep, and was not kept",
        MetaStoreError.ResponseTooLarge => $"the request was applied; its answer would take more than {StoreLimits.AnswerBytesMax} bytes of keys and values, and is not given: ask for less at a time",
        _ => error.ToString(),
    };
}
