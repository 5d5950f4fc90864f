using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>
/// The watches of one stream, which has one reader and one writer. The writer gives answers to requests first, then the watches that have something a turn each, a response at
/// a time. The watch loop of the engine only puts a watch into the queue for it.
/// <para>
/// A word of progress for the whole stream (watch id -1) says that everything up to its revision was said, and that nothing beyond it was. So when the engine names the revision, the
/// watches that have something waiting <em>owe</em> it; those that come later, or whose next response lies beyond, are put aside until the word is out.
/// </para>
/// <para>
/// The parts of one response follow each other, as in etcd: its client puts together what comes, and takes whatever else comes in between for nothing.
/// </para>
/// <para>
/// Invariant: a watch whose feed may have something is queued, or in the writer's hand; the feed calls back otherwise.
/// </para>
/// </summary>
internal sealed class WatchStream(MetaStoreNode node, EtcdServicesOptions options, RpcContext context) : IDisposable
{
    /// <summary>The id of what concerns no watch, or all of them.</summary>
    private const long NoWatch = -1;

    private static readonly byte[] s_zero = [0];

    private readonly Lock _gate = new();
    private readonly Dictionary<long, StreamWatch> _watches = [];
    private readonly Queue<Messages.WatchResponse> _said = new();
    private readonly Queue<StreamWatch> _ready = new();
    private readonly Queue<StreamWatch> _aside = new();
    private readonly Channel<bool> _wake = NewSignal();
    private readonly Channel<bool> _room = NewSignal();
    private StreamWatch? _inHand;
    private StreamWatch? _inParts;
    private long _nextId;
    private bool _isProgressAsked;
    private bool _mustAskAgain;
    private long? _progress;
    private int _owing;
    private bool _isDisposed;

    /// <summary>Takes requests until the caller has said its last.</summary>
    public async Task ReadAllAsync(IRpcReader<Messages.WatchRequest> requests, CancellationToken cancellationToken)
    {
        while (await requests.ReadAsync(cancellationToken).ConfigureAwait(false) is { } request)
        {
            switch (request.RequestUnionCase)
            {
                case Messages.WatchRequest.RequestUnionOneofCase.CreateRequest:
                    await CreateAsync(request.CreateRequest).ConfigureAwait(false);
                    break;
                case Messages.WatchRequest.RequestUnionOneofCase.CancelRequest:
                    Cancel(request.CancelRequest.WatchId);
                    break;
                case Messages.WatchRequest.RequestUnionOneofCase.ProgressRequest:
                    AskProgress();
                    break;
            }

            await WaitForRoomAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes until it is cancelled.</summary>
    /// <exception cref="MetaStoreException">The node can serve no watch any more.</exception>
    public async Task WriteAllAsync(IRpcWriter<Messages.WatchResponse> answers, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (TryTake(out Messages.WatchResponse? answer))
            {
                if (answer is not null)
                {
                    await answers.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
                }
            }
            else
            {
                await _wake.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    public void Dispose()
    {
        StreamWatch[] watches;
        lock (_gate)
        {
            _isDisposed = true;
            watches = [.. _watches.Values];
            _watches.Clear();
        }

        foreach (StreamWatch watch in watches)
        {
            watch.Feed.Dispose();
        }
    }

    private static Channel<bool> NewSignal() =>
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private static WatchRequest ToStore(Messages.WatchCreateRequest request) => new()
    {
        Key = request.Key.IsEmpty ? s_zero : request.Key.Memory,
        RangeEnd = request.RangeEnd.Memory,
        StartRevision = new Revision(request.StartRevision),
        NoPut = request.Filters.Contains(Messages.WatchCreateRequest.Types.FilterType.Noput),
        NoDelete = request.Filters.Contains(Messages.WatchCreateRequest.Types.FilterType.Nodelete),
        PreviousValue = request.PrevKv,
        ProgressNotify = request.ProgressNotify,
        Fragment = request.Fragment,
    };

    private static bool IsEmpty(WatchRequest request)
    {
        ReadOnlySpan<byte> end = request.RangeEnd.Span;
        return !end.IsEmpty && !end.SequenceEqual(s_zero) && request.Key.Span.SequenceCompareTo(end) >= 0;
    }

    private async ValueTask CreateAsync(Messages.WatchCreateRequest message)
    {
        WatchRequest request = ToStore(message);
        try
        {
            await options.Authority.CheckWatchAsync(context, request).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            Refuse(e.Message);
            return;
        }

        if (request.StartRevision.Value < 0)
        {
            Refuse(EtcdErrors.Compacted.Message);
            return;
        }

        if (IsEmpty(request))
        {
            Refuse("mvcc: watcher range is empty");
            return;
        }

        long id;
        lock (_gate)
        {
            if (_watches.Count >= options.WatchesPerStreamMax)
            {
                Refuse($"etcdserver: too many watches on the stream: {options.WatchesPerStreamMax}; use another one");
                return;
            }

            while (message.WatchId == 0 && _watches.ContainsKey(_nextId))
            {
                _nextId++;
            }

            id = message.WatchId == 0 ? _nextId++ : message.WatchId;
            if (_watches.ContainsKey(id))
            {
                Refuse("mvcc: duplicate watch ID provided on the WatchStream");
                return;
            }
        }

        // The id stays free until then: there is one reader.
        Open(new StreamWatch(id), request);
    }

    private void Open(StreamWatch watch, WatchRequest request)
    {
        watch.Feed = node.OpenWatch(request, () => OnReady(watch));
        bool isThere = watch.Feed.TryTake(out WatchResponse? created);
        Invariant.Check(isThere && created!.IsCreated, "a watch did not begin by saying that it is there");
        lock (_gate)
        {
            if (_isDisposed)
            {
                watch.Feed.Dispose();
                return;
            }

            // Not before it has its feed: the watch loop, which may ask for progress this moment, takes the feeds of all that are here.
            _watches.Add(watch.Id, watch);

            // Whoever asked for progress did not ask for that of this watch, but would take the answer for it.
            AbandonProgress();
            _said.Enqueue(new Messages.WatchResponse { Header = AnswerForms.ToMessage(created!.Header), WatchId = watch.Id, Created = true });
            Queue(watch);
        }
    }

    private void Refuse(string reason) => Say(new Messages.WatchResponse
    {
        Header = AnswerForms.ToMessage(node.Header),
        WatchId = NoWatch,
        Created = true,
        Canceled = true,
        CancelReason = reason,
    });

    /// <summary>As in etcd, to cancel what is not there says nothing.</summary>
    private void Cancel(long id)
    {
        StreamWatch? watch;
        lock (_gate)
        {
            if (!_watches.Remove(id, out watch))
            {
                return;
            }

            Forget(watch);
            Say(new Messages.WatchResponse { Header = AnswerForms.ToMessage(node.Header), WatchId = id, Canceled = true });
        }

        watch.Feed.Dispose();
    }

    private void Say(Messages.WatchResponse answer)
    {
        lock (_gate)
        {
            _said.Enqueue(answer);
        }

        _wake.Writer.TryWrite(true);
    }

    private async ValueTask WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                if (_said.Count <= options.WatchAnswersWaitingMax)
                {
                    return;
                }
            }

            await _room.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private bool TryTakeSaid([NotNullWhen(true)] out Messages.WatchResponse? answer)
    {
        bool isTaken;
        lock (_gate)
        {
            isTaken = _said.TryDequeue(out answer);
        }

        if (isTaken)
        {
            _room.Writer.TryWrite(true);
        }

        return isTaken;
    }

    /// <summary>Takes what is to be written next; false: nothing is there yet. What there is may come to nothing.</summary>
    private bool TryTake(out Messages.WatchResponse? answer)
    {
        StreamWatch? watch;
        lock (_gate)
        {
            _inParts = _inParts is { IsGone: true } ? null : _inParts;
            watch = _inParts;
        }

        if (watch is null)
        {
            return TryTakeSaid(out answer) || TryTakeReady(out answer);
        }

        answer = Take(watch, response: null);
        return answer is not null || watch.IsGone;
    }

    /// <summary>A turn of the watch that waits for longest; false where none does. What it came to may be nothing.</summary>
    private bool TryTakeReady(out Messages.WatchResponse? answer)
    {
        answer = null;
        StreamWatch? watch;
        WatchResponse? response;
        lock (_gate)
        {
            if (!_ready.TryDequeue(out watch))
            {
                return false;
            }

            watch.IsQueued = false;
            if (watch.IsGone)
            {
                return true;
            }

            _inHand = watch;
            response = watch.Held;
            watch.Held = null;
        }

        answer = Take(watch, response);
        return true;
    }

    /// <summary>Takes what the watch has next, unless it was taken before. Returns what is to be written.</summary>
    private Messages.WatchResponse? Take(StreamWatch watch, WatchResponse? response)
    {
        try
        {
            if (response is null)
            {
                watch.Feed.TryTake(out response);
            }
        }
        catch (CompactedException e)
        {
            return EndCompacted(watch, e);
        }

        return Settle(watch, response);
    }

    /// <summary>Puts the watch, of which the response was taken, where it belongs now. Returns what is to be written.</summary>
    private Messages.WatchResponse? Settle(StreamWatch watch, WatchResponse? response)
    {
        lock (_gate)
        {
            bool isAmidParts = watch == _inParts && response is null;
            if (isAmidParts && !watch.IsGone)
            {
                return null; // The rest is on its way, and the watch stays in the hand.
            }

            _inHand = null;
            _inParts = null;
            if (watch.IsGone)
            {
                return null;
            }

            if (response is null)
            {
                if (!watch.IsQueued)
                {
                    HasPaid(watch);
                }

                return null;
            }

            if (response.Header.Revision.Value > _progress)
            {
                watch.Held = response;
                HasPaid(watch);
                Queue(watch);
                return null;
            }

            if (response.Fragment)
            {
                (_inHand, _inParts) = (watch, watch);
            }
            else
            {
                Queue(watch);
            }
        }

        var answer = new Messages.WatchResponse { Header = AnswerForms.ToMessage(response.Header), WatchId = watch.Id, Fragment = response.Fragment };
        answer.Events.Capacity = response.Events.Count;
        foreach (WatchEvent e in response.Events)
        {
            answer.Events.Add(AnswerForms.ToMessage(e));
        }

        return answer;
    }

    /// <summary>As in etcd, the header has no revision: nothing is known up to any.</summary>
    private Messages.WatchResponse? EndCompacted(StreamWatch watch, CompactedException e)
    {
        lock (_gate)
        {
            _inHand = null;
            _inParts = null;
            if (!_watches.Remove(watch.Id))
            {
                return null;
            }

            Forget(watch);
        }

        watch.Feed.Dispose();
        return new Messages.WatchResponse
        {
            Header = AnswerForms.ToMemberHeader(node.Header),
            WatchId = watch.Id,
            Canceled = true,
            CompactRevision = e.CompactRevision.Value,
        };
    }

    /// <summary>The watch loop has something for the watch again.</summary>
    private void OnReady(StreamWatch watch)
    {
        lock (_gate)
        {
            if (watch.IsGone || _isDisposed)
            {
                return;
            }

            Queue(watch);
        }
    }

    /// <summary>Within the gate.</summary>
    private void Queue(StreamWatch watch)
    {
        if (!watch.IsQueued)
        {
            watch.IsQueued = true;
            (_progress is not null && !watch.Owes ? _aside : _ready).Enqueue(watch);
        }

        _wake.Writer.TryWrite(true);
    }

    /// <summary>Within the gate.</summary>
    private void Forget(StreamWatch watch)
    {
        watch.IsGone = true;
        HasPaid(watch);
    }

    private void AskProgress()
    {
        WatchFeed[] feeds;
        lock (_gate)
        {
            if (_isProgressAsked || _watches.Count == 0)
            {
                return; // One answer says as much as two; without a watch etcd says nothing.
            }

            _isProgressAsked = true;
            feeds = [.. _watches.Values.Select(watch => watch.Feed)];
        }

        node.AskProgress(feeds, OnProgress);
    }

    /// <summary>The watch loop has told every watch everything up to the revision, and nothing beyond.</summary>
    private void OnProgress(Revision? revision)
    {
        bool mustAskAgain;
        lock (_gate)
        {
            mustAskAgain = _mustAskAgain;
            _mustAskAgain = false;
            if (revision is null || mustAskAgain)
            {
                _isProgressAsked = false;
            }
            else
            {
                BeginProgress(revision.Value.Value);
            }
        }

        if (mustAskAgain)
        {
            AskProgress();
        }
    }

    /// <summary>Within the gate.</summary>
    private void BeginProgress(long revision)
    {
        _progress = revision;
        foreach (StreamWatch watch in _ready)
        {
            Owe(watch);
        }

        if (_inHand is not null)
        {
            Owe(_inHand);
        }

        EndProgressIfPaid();
    }

    private void Owe(StreamWatch watch)
    {
        if (!watch.Owes && !watch.IsGone)
        {
            watch.Owes = true;
            _owing++;
        }
    }

    /// <summary>Nothing of the watch need be written before the word of progress any more. Within the gate.</summary>
    private void HasPaid(StreamWatch watch)
    {
        if (watch.Owes)
        {
            watch.Owes = false;
            _owing--;
            EndProgressIfPaid();
        }
    }

    private void EndProgressIfPaid()
    {
        if (_progress is not { } revision || _owing > 0)
        {
            return;
        }

        ResponseHeader header = node.Header with { Revision = new Revision(revision) };
        _said.Enqueue(new Messages.WatchResponse { Header = AnswerForms.ToMessage(header), WatchId = NoWatch });
        _progress = null;
        _isProgressAsked = false;
        TakeBack();
        _wake.Writer.TryWrite(true);
    }

    /// <summary>Asks for progress anew where it is asked for: there is another watch. Within the gate.</summary>
    private void AbandonProgress()
    {
        if (!_isProgressAsked)
        {
            return;
        }

        if (_progress is null)
        {
            _mustAskAgain = true;
            return;
        }

        foreach (StreamWatch watch in _watches.Values)
        {
            watch.Owes = false;
        }

        _owing = 0;
        _progress = null;
        TakeBack();
        node.AskProgress([.. _watches.Values.Select(watch => watch.Feed)], OnProgress);
    }

    /// <summary>Those put aside are ready like others.</summary>
    private void TakeBack()
    {
        while (_aside.TryDequeue(out StreamWatch? watch))
        {
            _ready.Enqueue(watch);
        }
    }
}
