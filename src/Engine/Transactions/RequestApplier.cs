using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Transactions;

/// <summary>What applying one request came to: an answer, or an error that left no trace; or the word that it was applied, and that its answer was too large.</summary>
internal readonly record struct ApplyResult(StoreResponse? Response, MetaStoreError Error)
{
    public static ApplyResult Failed(MetaStoreError error) => new(null, error);

    /// <summary>All of the request is applied.</summary>
    public static ApplyResult AnswerTooLarge => new(null, MetaStoreError.ResponseTooLarge);

    public static ApplyResult Done(StoreResponse? response) => new(response, default);

    public bool IsFailed => Error != default;
}

/// <summary>
/// Applies requests to the store, by the writer only. A request is checked in full before its first effect, so an error leaves the
/// store untouched and nothing can fail half-way. One request is one revision, given out when it first changes something.
/// Everything decided here depends on replicated state alone.
/// </summary>
internal sealed class RequestApplier(MvccStore store, ulong clusterId, ulong nodeId, AppliedCounts counts)
{
    private readonly LeaseApplier _leases = new(store, counts);

    /// <summary>The index of the entry that is being applied.</summary>
    public ulong Index { get; set; }

    /// <summary>The term of the entry that is being applied.</summary>
    public ulong Term { get; set; }

    /// <summary>Applies the request. Where <paramref name="wantResponse"/> is false nobody waits for the answer and none is made.</summary>
    public ApplyResult Apply(StoreRequest request, bool wantResponse)
    {
        MetaStoreError error = request switch
        {
            PutRequest put => CheckPut(put),
            TxnRequest txn when !KnownBugs.TxnAppliedInPart => CheckTxn(txn),
            CompactRequest compact => CheckCompact(compact),
            LeaseGrantRequest or LeaseRevokeRequest => _leases.Check(request),
            _ => default,
        };
        if (error != default)
        {
            return ApplyResult.Failed(error);
        }

        if (request is CompactRequest { Revision.Value: long compactRevision })
        {
            store.Compact(compactRevision);
            return ApplyResult.Done(wantResponse ? new CompactResponse { Header = FullHeader(store.Revision) } : null);
        }

        if (LeaseApplier.IsOne(request))
        {
            StoreResponse answer = _leases.Apply(request, Index, Term);
            return ApplyResult.Done(answer with { Header = FullHeader() });
        }

        var run = new Run(this, wantResponse);
        StoreResponse? response = run.Execute(request);
        if (run.Changed)
        {
            store.CommitRevision(run.Revision);
            store.EndRequest(Index);
        }

        return run.IsAnswerTooLarge ? ApplyResult.AnswerTooLarge : ApplyResult.Done(response);
    }

    /// <summary>These requests come next, a few of them: what they will touch is fetched meanwhile.</summary>
    public void Expect(ReadOnlySpan<StoreRequest> requests) => IndexLookahead.Fetch(store.Unpublished, requests);

    /// <summary>The header of an answer given now.</summary>
    public ResponseHeader FullHeader() => FullHeader(store.Revision);

    private AppliedCounts Counts => counts;

    private MvccStore Store => store;

    private ResponseHeader FullHeader(long revision) => new(clusterId, nodeId, new Revision(revision), Term);

    private MetaStoreError CheckCompact(CompactRequest compact)
    {
        if (compact.Revision.Value <= store.CompactRevision)
        {
            return MetaStoreError.Compacted;
        }

        return compact.Revision.Value > store.Revision ? MetaStoreError.FutureRevision : default;
    }

    /// <summary>Of two faults etcd names the lease in a put by itself, and the key in a transaction.</summary>
    private MetaStoreError CheckPut(PutRequest put) => CheckLease(put) is var error && error != default ? error : CheckKey(put);

    private MetaStoreError CheckPutInTxn(PutRequest put) => CheckKey(put) is var error && error != default ? error : CheckLease(put);

    private MetaStoreError CheckLease(PutRequest put) => put.LeaseId != 0 && store.Leases.Find(put.LeaseId) is null ? MetaStoreError.LeaseNotFound : default;

    private MetaStoreError CheckKey(PutRequest put)
    {
        bool needsKey = put.IgnoreValue || put.IgnoreLease;
        return needsKey && store.Unpublished.Find(put.Key.Span).ReadAt(store.Revision).IsNull ? MetaStoreError.KeyNotFound : default;
    }

    /// <summary>
    /// Checks the operations that will run. Which those are is decided for all levels of nesting before the first effect, as in
    /// etcd; the branches that will not run are not looked at. All puts are checked before any range, as in etcd.
    /// </summary>
    private MetaStoreError CheckTxn(TxnRequest txn) => CheckTxn(txn, ofRanges: false) is var error && error != default ? error : CheckTxn(txn, ofRanges: true);

    private MetaStoreError CheckTxn(TxnRequest txn, bool ofRanges)
    {
        foreach (StoreRequest request in Branch(store, txn))
        {
            MetaStoreError error = request switch
            {
                PutRequest put when !ofRanges => CheckPutInTxn(put),
                RangeRequest range when ofRanges => RevisionCheck.Check(range.Revision.Value, store.Revision, ReadableFrom()),
                TxnRequest nested => CheckTxn(nested, ofRanges),
                _ => default,
            };
            if (error != default)
            {
                return error;
            }
        }

        return default;
    }

    /// <summary>By what was compacted for all, never by what is gone or still held here.</summary>
    private long ReadableFrom() => KnownBugs.TxnReadsWhatIsStillHeld ? store.Pins.Horizon(store.CompactRevision) : store.CompactRevision;

    private static IReadOnlyList<StoreRequest> Branch(MvccStore store, TxnRequest txn) =>
        CompareEvaluator.AllHold(store.Unpublished, store.Revision, txn.Compare) ? txn.Success : txn.Failure;

    /// <summary>One request on its way through. Reads inside it see what it has done so far.</summary>
    private struct Run(RequestApplier owner, bool wantResponse)
    {
        // Nested conditions are judged by the state before the request, so they are settled before the first effect.
        private Dictionary<TxnRequest, bool>? _decisions;

        private int _depth;
        private long _answerBytesLeft = StoreLimits.AnswerBytesMax;

        /// <summary>The answer grew beyond what an answer may take, and is not whole.</summary>
        public bool IsAnswerTooLarge => _answerBytesLeft < 0;

        public long Revision { get; } = owner.Store.Revision + 1;

        public bool Changed { get; private set; }

        public StoreResponse? Execute(StoreRequest request)
        {
            switch (request)
            {
                case PutRequest put:
                    return Put(put);
                case DeleteRangeRequest delete:
                    return Delete(delete);
                case TxnRequest txn:
                    _decisions ??= Decide(txn, new Dictionary<TxnRequest, bool>(ReferenceEqualityComparer.Instance));
                    return Txn(txn, _decisions);
                case RangeRequest range:
                    return wantResponse ? Range(range) : null;
                default:
                    throw new InvariantException($"{request.GetType().Name} reached the applier");
            }
        }

        private Dictionary<TxnRequest, bool> Decide(TxnRequest txn, Dictionary<TxnRequest, bool> decisions)
        {
            bool holds = CompareEvaluator.AllHold(owner.Store.Unpublished, owner.Store.Revision, txn.Compare);
            decisions[txn] = holds;
            foreach (TxnRequest nested in (holds ? txn.Success : txn.Failure).OfType<TxnRequest>())
            {
                Decide(nested, decisions);
            }

            return decisions;
        }

        private PutResponse? Put(PutRequest put)
        {
            owner.Counts.CountPut();
            VersionRecord old = default;
            if (put.IgnoreValue || put.IgnoreLease)
            {
                old = owner.Store.Unpublished.Find(put.Key.Span).ReadAt(long.MaxValue);
                Invariant.Check(!old.IsNull, "a put that keeps value or lease passed its check without a key");
            }

            ReadOnlySpan<byte> value = put.IgnoreValue ? old.Value : put.Value.Span;
            VersionRecord previous = owner.Store.Put(Revision, put.Key.Span, value, put.IgnoreLease ? old.LeaseId : LeaseOf(put));
            Changed = true;
            if (!wantResponse)
            {
                return null;
            }

            bool returnsPrevious = put.ReturnPrevious && !previous.IsNull && !previous.IsTombstone && HasRoomFor(put.Key.Length + previous.Value.Length);
            return new PutResponse { Header = Header(), Previous = returnsPrevious ? RangeReader.ToKeyValue(put.Key.Span, previous) : null };
        }

        private long LeaseOf(PutRequest put) => put.TimeToLive == TimeSpan.Zero ? put.LeaseId : owner._leases.GrantForOneKey(owner.Index, put.TimeToLive);

        private DeleteRangeResponse? Delete(DeleteRangeRequest delete)
        {
            owner.Counts.CountDelete();
            var visitor = new LiveCollector([]);
            owner.Store.Unpublished.Scan(KeyRange.From(delete.Key, delete.RangeEnd), ref visitor);
            var previous = new List<KeyValue>();
            foreach (KeyRecord record in visitor.Records)
            {
                if (wantResponse && delete.ReturnPrevious && HasRoomFor(record.Key.Length + record.Head.Value.Length))
                {
                    previous.Add(RangeReader.ToKeyValue(record.Key, record.Head));
                }

                owner.Store.Delete(Revision, record);
                Changed = true;
            }

            return wantResponse ? new DeleteRangeResponse { Header = Header(), Deleted = visitor.Records.Count, Previous = previous } : null;
        }

        private TxnResponse? Txn(TxnRequest txn, Dictionary<TxnRequest, bool> decisions)
        {
            owner.Counts.CountTxn();
            bool succeeded = decisions[txn];
            IReadOnlyList<StoreRequest> branch = succeeded ? txn.Success : txn.Failure;
            StoreResponse[] responses = wantResponse ? new StoreResponse[branch.Count] : [];
            _depth++;
            for (int i = 0; i < branch.Count; i++)
            {
                if (branch is StoreRequest[] requests && branch.Count > 1 && i % IndexLookahead.Width == 0)
                {
                    owner.Expect(new ReadOnlySpan<StoreRequest>(requests, i, Math.Min(IndexLookahead.Width, requests.Length - i)));
                }

                if (KnownBugs.TxnAppliedInPart && branch[i] is PutRequest put && owner.CheckPut(put) != default)
                {
                    break;
                }

                StoreResponse? response = branch[i] is TxnRequest nested ? Txn(nested, decisions) : Execute(branch[i]);
                if (wantResponse)
                {
                    responses[i] = response!;
                }
            }

            _depth--;
            return wantResponse ? new TxnResponse { Header = Header(), Succeeded = succeeded, Responses = responses } : null;
        }

        private RangeResponse Range(RangeRequest range)
        {
            long revision = range.Revision.Value > 0 ? range.Revision.Value : Revision;
            RangeResponse? response = RangeReader.ReadWhole(owner.Store.Unpublished, Revision, revision, range, ref _answerBytesLeft);
            return (response ?? new RangeResponse()) with { Header = Header() };
        }

        private bool HasRoomFor(int bytes)
        {
            if (_answerBytesLeft >= 0)
            {
                _answerBytesLeft -= RangeReader.ItemBytes + bytes;
            }

            return _answerBytesLeft >= 0;
        }

        private readonly ResponseHeader Header()
        {
            long revision = Changed ? Revision : owner.Store.Revision;
            return _depth == 0 ? owner.FullHeader(revision) : new ResponseHeader(0, 0, new Revision(revision), 0);
        }
    }

    private readonly struct LiveCollector(List<KeyRecord> records) : IRecordVisitor
    {
        public List<KeyRecord> Records { get; } = records;

        public bool Visit(KeyRecord record)
        {
            if (!record.Head.IsTombstone)
            {
                Records.Add(record);
            }

            return true;
        }
    }
}
