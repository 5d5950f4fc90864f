using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Members;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;

namespace MetaStore.Engine.Transactions;

/// <summary>
/// Reads from published views, on the caller's thread, without a lock. The view is taken once; when the walk is over, the compact
/// revision is looked at again, since a compaction that came in between may have cut what the walk needed. Then it is done once more, on a view that is
/// pinned: who asks for the current state gets it, however many compactions there are.
/// </summary>
internal sealed class StoreReader
{
    private readonly StoreHolder _stores;
    private readonly ulong _clusterId;
    private readonly ulong _nodeId;
    private readonly Func<ulong> _term;
    private readonly StoreVisits _visits;

    public StoreReader(StoreHolder stores, ulong clusterId, ulong nodeId, Func<ulong> term, VisitSizes? visitSizes = null)
    {
        _stores = stores;
        _clusterId = clusterId;
        _nodeId = nodeId;
        _term = term;
        _visits = new StoreVisits(stores, CheckHoldsData, visitSizes ?? VisitSizes.Usual);
    }

    /// <summary>See <see cref="RangeReader.Read"/> for what <paramref name="bytesMax"/> and <paramref name="counts"/> mean.</summary>
    public RangeResponse Range(RangeRequest request, TimeSpan? staleness, long bytesMax = long.MaxValue, bool counts = true)
    {
        MvccStore store = _stores.Current;
        RangeResponse response;
        long oldest;
        using (store.Memory.Enter())
        {
            response = Range(store.View, request, bytesMax, counts, out oldest);
        }

        if (!IsStillReadable(oldest))
        {
            store = _stores.Current;
            using ReadSection section = store.Memory.Enter();
            using ViewPins.PinnedView pin = store.Pins.Pin(store);
            response = Range(pin.View, request, bytesMax, counts, out _);
        }

        return response with { Staleness = staleness };
    }

    /// <summary>Whether the transaction writes nothing, whichever branch it takes. As in etcd, one that nests is never read-only.</summary>
    public static bool IsReadOnly(TxnRequest txn) => txn.Success.All(r => r is RangeRequest) && txn.Failure.All(r => r is RangeRequest);

    /// <summary>Whether a read-only transaction asks for no more than what this node has.</summary>
    public static bool IsSerializable(TxnRequest txn) =>
        txn.Compare.Count == 0 && txn.Success.Concat(txn.Failure).All(r => r is RangeRequest { Serializable: true });

    /// <summary>Runs a transaction that <see cref="IsReadOnly"/> on one view.</summary>
    public TxnResponse Txn(TxnRequest txn)
    {
        MvccStore store = _stores.Current;
        using (store.Memory.Enter())
        {
            TxnResponse response = Txn(store.View, txn, out long oldest);
            if (IsStillReadable(oldest))
            {
                return response;
            }
        }

        store = _stores.Current;
        using ReadSection section = store.Memory.Enter();
        using ViewPins.PinnedView pin = store.Pins.Pin(store);
        return Txn(pin.View, txn, out _);
    }

    /// <summary>Shows a range at a revision, or now where that is 0, to the visitor. Says which revision it was.</summary>
    public Revision Visit<TVisitor>(in KeyRange range, long revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor => _visits.Visit(range, revision, ref visitor);

    public HashResponse Hash(HashRequest request, CancellationToken cancellationToken)
    {
        MvccStore store = _stores.Current;
        using ViewPins.PinnedView pin = store.Pins.Pin(store);
        CheckHoldsData(pin.View);
        long revision = RevisionCheck.Resolve(request.Revision.Value, pin.View);
        return new HashResponse
        {
            Header = Header(pin.View),
            Hash = StoreHash.Compute(store, revision, pin.View.CompactRevision, cancellationToken),
            HashRevision = new Revision(revision),
            CompactRevision = new Revision(pin.View.CompactRevision),
        };
    }

    /// <summary>The answer to a question about a lease, of which the leader knows what it has left. Its keys are this node's to tell.</summary>
    /// <exception cref="MetaStoreException">This member is a witness; it may not have known when it was asked.</exception>
    public StoreResponse Lease(LeaseAskRequest question, LeaseFacts facts)
    {
        const long MillisecondsPerSecond = 1000;
        StoreView view = _stores.Current.View;
        CheckHoldsData(view);
        if (question.Question == LeaseQuestion.KeepAlive)
        {
            return new LeaseKeepAliveResponse { Header = Header(view), Id = question.Id, Ttl = facts.GrantedMilliseconds / MillisecondsPerSecond };
        }

        if (!facts.Exists || view.Leases.Find(question.Id) is not { } lease)
        {
            return new LeaseTimeToLiveResponse { Header = Header(view), Id = question.Id, Ttl = -1 };
        }

        return new LeaseTimeToLiveResponse
        {
            Header = Header(view),
            Id = question.Id,
            Ttl = facts.RemainingMilliseconds / MillisecondsPerSecond,
            GrantedTtl = facts.GrantedMilliseconds / MillisecondsPerSecond,
            Keys = question.WithKeys ? [.. lease.Keys.Select(key => new ReadOnlyMemory<byte>(key))] : [],
        };
    }

    /// <exception cref="MetaStoreException">This member is a witness; it may not have known when it was asked.</exception>
    public LeasesResponse Leases()
    {
        StoreView view = _stores.Current.View;
        CheckHoldsData(view);
        return new LeasesResponse { Header = Header(view), Ids = [.. view.Leases.Ids] };
    }

    /// <summary>
    /// The view itself is asked, not the membership: a witness that was added a moment ago may not know yet that it is one, and has passed over
    /// commands all the same.
    /// </summary>
    /// <exception cref="MetaStoreException">This member is a witness.</exception>
    public void CheckHoldsData(StoreView view)
    {
        if (view.IsHollow || view.Membership.IsWitness(new NodeId(_nodeId)))
        {
            IEnumerable<string> others = MemberTable.From(view.Membership).Members.Where(member => !member.IsWitness).SelectMany(member => member.ClientUrls);
            throw new MetaStoreException(
                MetaStoreError.WitnessMember, $"member {_nodeId:x} is a witness: it votes, and holds no data to read or write; ask another member: {string.Join(", ", others)}");
        }
    }

    public ResponseHeader Header(StoreView view) => new(_clusterId, _nodeId, new Revision(view.Revision), _term());

    private RangeResponse Range(StoreView view, RangeRequest request, long bytesMax, bool counts, out long revision)
    {
        CheckHoldsData(view);
        revision = RevisionCheck.Resolve(request.Revision.Value, view);
        return RangeReader.Read(view.Index, view.Revision, revision, request, bytesMax, counts) with { Header = Header(view) };
    }

    /// <param name="view">What is read.</param>
    /// <param name="txn">The transaction.</param>
    /// <param name="oldest">The oldest revision that was read.</param>
    private TxnResponse Txn(StoreView view, TxnRequest txn, out long oldest)
    {
        CheckHoldsData(view);
        oldest = view.Revision;
        bool succeeded = CompareEvaluator.AllHold(view.Index, view.Revision, txn.Compare);
        IReadOnlyList<StoreRequest> branch = succeeded ? txn.Success : txn.Failure;
        var responses = new StoreResponse[branch.Count];
        long bytesLeft = StoreLimits.AnswerBytesMax;
        for (int i = 0; i < branch.Count; i++)
        {
            var range = (RangeRequest)branch[i];
            long revision = RevisionCheck.Resolve(range.Revision.Value, view);
            oldest = Math.Min(oldest, revision);
            RangeResponse response = RangeReader.ReadWhole(view.Index, view.Revision, revision, range, ref bytesLeft)
                ?? throw new MetaStoreException(
                    MetaStoreError.ResponseTooLarge, $"the answer would take more than {StoreLimits.AnswerBytesMax} bytes of keys and values; ask for less at a time");
            responses[i] = response with { Header = new ResponseHeader(0, 0, new Revision(view.Revision), 0) };
        }

        return new TxnResponse { Header = Header(view), Succeeded = succeeded, Responses = responses };
    }

    private bool IsStillReadable(long revision) => revision >= _stores.Current.View.CompactRevision;
}

/// <summary>The store in use. It is exchanged as a whole when a snapshot of the leader is installed.</summary>
internal sealed class StoreHolder(MvccStore store)
{
    private MvccStore _current = store;

    public MvccStore Current
    {
        get
        {
            SchedulePoint.Hit();
            return Volatile.Read(ref _current);
        }

        set
        {
            SchedulePoint.Hit();
            Volatile.Write(ref _current, value);
        }
    }
}
