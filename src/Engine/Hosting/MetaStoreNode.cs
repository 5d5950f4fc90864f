using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using MetaStore.Engine.Index;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// A node of the store inside this process. Opening it recovers the data directory and starts the loops; disposing it stops them.
/// A single node needs nothing else; a member of a cluster needs a transport (MetaStore.Net has it).
/// </summary>
public sealed class MetaStoreNode : IMetaStore, IMetaStoreCluster, IMetaStoreSessions, IMetaStoreSnapshots, INodeInfo
{
    private readonly NodeCore _core;
    private readonly long _openedAt;
    private readonly NodeThreads _threads;
    private readonly ForkJoinThreads _parts = new(ForkJoinThreads.DefaultWidth);
    private readonly MeasuredDisk _disk;
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly NodeSettings _settings;
    private readonly IPeerTransport _transport;
    private int _disposed;

    private MetaStoreNode(NodeSettings settings, IPeerTransport transport, ILogger logger)
    {
        _settings = settings;
        _transport = transport;
        TimeProvider time = BootClock.Instance;
        _threads = new NodeThreads(time);
        _disk = new MeasuredDisk(new NativeDisk(), time);
        _core = OpenCore(settings, time);
        if (_core.RecoveryNote is not null)
        {
            logger.LogWarning("recovery: {Note}", _core.RecoveryNote);
        }

        if (_core.StartedRecovering)
        {
            logger.LogWarning("recovering: this member lost a part of its log. It votes for nobody until it has caught up with a leader");
            _core.Node.HasRecovered += () => logger.LogInformation("recovered: this member has caught up and votes again");
        }

        _core.Node.StatesDiffer += index => logger.LogError(
            "the states of two members differ at index {Index}. Who differs from most of them stops; while too few are up to tell, nobody does: start the others", index);

        // Before the loops run and move on.
        MemberCount = _core.Node.Raft.Membership.All.Count();
        NeedsContacts = MemberCount == 0 || (MemberCount == 1 && _core.StartedRecovering);
        Recovery = _core.IsFirstStart ? new NodeRecovery(0, 0, 0) : new NodeRecovery(_core.Node.Status.Term, _core.Node.Status.LastIndex, _core.Node.Status.SnapshotIndex);
        _core.Failure.Connect(() => OnFailed(logger));
        _core.Node.LeaderChanged += () => LeaderChanged?.Invoke();
        _openedAt = time.GetTimestamp();
        _threads.Start(_core);
    }

    /// <inheritdoc/>
    public event Action? LeaderChanged;

    /// <inheritdoc/>
    public ulong ClusterId => _settings.ClusterId;

    /// <inheritdoc/>
    public NodeId NodeId => _settings.NodeId;

    /// <inheritdoc/>
    public NodeId LeaderId => _core.Node.Status.Leader;

    /// <summary>What the node was opened with.</summary>
    public NodeSettings Settings => _settings;

    /// <summary>The header of an answer that this node would give now, by what it has itself.</summary>
    public ResponseHeader Header => _core.Header;

    /// <summary>The node in numbers, at this moment.</summary>
    public NodeFigures Figures => _core.Figures();

    /// <summary>The traffic with each peer, as the transport counts it; see <see cref="IPeerTransport.MeasurePeers"/>.</summary>
    public IReadOnlyList<PeerFigures> MeasurePeers() => _transport.MeasurePeers();

    /// <summary>How long batches of committed operations took to be applied, each of them.</summary>
    public DurationHistogram ApplyBatches => _core.Apply.Batches;

    /// <summary>How long the syncs of the log took, each of them.</summary>
    public DurationHistogram LogSyncs => _disk.LogSyncs;

    /// <summary>Bytes written to the log since the start.</summary>
    public long LogBytesWritten => _disk.LogBytesWritten;

    /// <summary>How long hashes of the newest state took, each of them.</summary>
    public DurationHistogram Hashes => _core.Hashes;

    /// <summary>How long hashes of a given revision took, each of them.</summary>
    public DurationHistogram HashesOfRevisions => _core.HashesOfRevisions;

    /// <summary>How long the syncs of snapshots and small files took, each of them.</summary>
    public DurationHistogram OtherSyncs => _disk.OtherSyncs;

    /// <summary>Whether this member gets the log and has no vote.</summary>
    public bool IsLearner => _core.IsLearner;

    /// <summary>Whether this member votes and holds no data.</summary>
    public bool IsWitness => _core.IsWitness;

    /// <summary>What the data directory held.</summary>
    public NodeRecovery Recovery { get; }

    /// <summary>Where the transport delivers what the peers send.</summary>
    public IPeerMessageSink PeerSink => _core;

    /// <summary>How many members the cluster had by the node's log when it was opened; 0 for one that joins and has been told nothing yet.</summary>
    public int MemberCount { get; }

    /// <summary>
    /// It cannot do anything by itself, and its log names no other member: it joins, or was repaired and what it kept ends before its cluster grew. The transport has to
    /// be told whom it may hear from, until a leader has told it of all.
    /// </summary>
    public bool NeedsContacts { get; }

    /// <summary>Ends, with the cause as its exception, when the node fails for good. A node that is disposed has not failed.</summary>
    public Task Failed => _failed.Task;

    /// <summary>A single-node store in a directory: the simplest way to embed one.</summary>
    public static MetaStoreNode OpenSingle(string dataDirectory, ILogger? logger = null)
    {
        var member = new Member(1, "single", [], []);
        return Open(
            new NodeSettings
            {
                Name = member.Name,
                ClusterId = 1,
                NodeId = new NodeId(member.Id),
                Members = [member],
                DataDirectory = dataDirectory,
                Seed = DrawSeed(),
            },
            transport: null,
            logger);
    }

    /// <summary>Opens a node: recovers its data directory and starts it.</summary>
    /// <param name="settings">What it is and where it keeps its files.</param>
    /// <param name="transport">The way to its peers; null only for a single node.</param>
    /// <param name="logger">Hears what an operator should know.</param>
    /// <exception cref="ArgumentException">A setting is wrong.</exception>
    /// <exception cref="CorruptionException">The directory's content is damaged.</exception>
    /// <exception cref="WalIdentityException">The directory belongs to another cluster or node.</exception>
    /// <exception cref="DiskException">The directory cannot be used: no space, no right, or in use.</exception>
    public static MetaStoreNode Open(NodeSettings settings, IPeerTransport? transport, ILogger? logger = null)
    {
        if (transport is null && settings.Members.Count > 1)
        {
            throw new ArgumentException($"A cluster of {settings.Members.Count} members needs a transport.", nameof(transport));
        }

        return new MetaStoreNode(SnapshotRestore.Resolve(new NativeDisk(), settings), transport ?? NoPeers.Instance, logger ?? NullLogger.Instance);
    }

    /// <summary>A seed for <see cref="NodeSettings.Seed"/>. The one draw of true randomness in a node's life.</summary>
    public static ulong DrawSeed()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(bytes);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    /// <summary>
    /// Shows what this member has of a range, in key order: the quickest way to read, without an allocation for each key. Like a serializable read it asks nobody, and may be behind
    /// other members.
    /// </summary>
    /// <param name="key">The key, or the first one of the range.</param>
    /// <param name="rangeEnd">As in <see cref="RangeRequest"/>: empty for the key alone, one zero byte for all that follow, else the first key not shown.</param>
    /// <param name="revision">The revision to read at; 0 for the newest.</param>
    /// <param name="visitor">Shown each live key; see <see cref="IKeyValueVisitor.Visit"/> for what it must keep to.</param>
    /// <returns>The revision that was read.</returns>
    /// <exception cref="MetaStoreException">The revision is compacted or still to come, or this member is a witness; or the visit took too long (<see cref="CompactedException"/>).</exception>
    public Revision Visit<TVisitor>(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> rangeEnd, Revision revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor => _core.Visit(KeyRange.From(key, rangeEnd), revision, ref visitor);

    /// <inheritdoc/>
    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) => _core.PutAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) => _core.RangeAsync(request, cancellationToken);

    /// <summary>
    /// As <see cref="RangeAsync(RangeRequest, CancellationToken)"/>, with a bound on what is read into memory. In key order the answer ends before its keys and values would
    /// exceed <paramref name="bytesMax"/>, but for its first item, and says <see cref="RangeResponse.More"/>; its count is the whole range's all the same.
    /// </summary>
    /// <param name="request">What to read.</param>
    /// <param name="bytesMax">Keys and values of the answer at most, in bytes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MetaStoreException">Among others, <see cref="MetaStoreError.ResponseTooLarge"/>: sorted by something else than the key, it exceeds the bound.</exception>
    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, long bytesMax, CancellationToken cancellationToken = default) =>
        _core.RangeAsync(request, bytesMax, counts: true, cancellationToken);

    /// <summary>
    /// As that, for what follows an answer that ended at its bytes: where this one ends so as well, its count is 0. A count at an earlier revision than the newest goes through the whole rest of the
    /// range, which would be once for each page.
    /// </summary>
    /// <param name="request">What to read.</param>
    /// <param name="bytesMax">Keys and values of the answer at most, in bytes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MetaStoreException">As above.</exception>
    public ValueTask<RangeResponse> RangePageAsync(RangeRequest request, long bytesMax, CancellationToken cancellationToken = default) =>
        _core.RangeAsync(request, bytesMax, counts: false, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) => _core.DeleteRangeAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) => _core.TxnAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) => _core.CompactAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) => _core.GrantLeaseAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) => _core.RevokeLeaseAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) => _core.KeepLeaseAliveAsync(leaseId, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) =>
        _core.LeaseTimeToLiveAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => _core.LeasesAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => _core.StatusAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => _core.HashAsync(request, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => _core.WatchAsync(request, cancellationToken);

    /// <summary>
    /// Begins a watch whose reader is told when there is something to take, rather than waiting for it: so one reader can have any number of watches.
    /// </summary>
    /// <param name="request">What to watch.</param>
    /// <param name="ready">
    /// Called by the watch loop when there is something again after <see cref="WatchFeed.TryTake"/> has returned false; to be quick, and not to wait for anything.
    /// </param>
    /// <exception cref="MetaStoreException">The request is wrong, or the node cannot serve it.</exception>
    public WatchFeed OpenWatch(WatchRequest request, Action ready) => _core.OpenWatch(request, ready);

    /// <summary>
    /// Asks up to which revision all of the watches have been told of everything, once none of them is behind. The answer comes by the watch loop: everything up to that
    /// revision waits in the watches by then, or was taken. Watches that have ended do not count; null: all have.
    /// </summary>
    /// <param name="watches">Watches of this node; at least one.</param>
    /// <param name="answer">Called once; to be quick, and not to wait for anything.</param>
    public void AskProgress(IReadOnlyCollection<WatchFeed> watches, Action<Revision?> answer) => _core.AskProgress(watches, answer);

    /// <inheritdoc/>
    public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) => _core.OpenSessionAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) => _core.CloseSessionAsync(sessionId, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default) => _core.ExecuteAsync(request, cancellationToken);

    /// <summary>Begins a copy of all that this member has now. Goes through the store once before it returns, to know how long the copy will be.</summary>
    /// <exception cref="MetaStoreException">The node is stopped or has failed, or is a witness.</exception>
    public StoreExport Export() => _core.Export();

    /// <inheritdoc/>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> SnapshotAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using SnapshotExport export = _core.ExportFile();
        while (true)
        {
            // Each piece is some milliseconds of work: between two of them whoever shares the caller's thread has its turn.
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            ReadOnlyMemory<byte> piece = export.ReadNext();
            if (piece.IsEmpty)
            {
                yield break;
            }

            yield return piece;
        }
    }

    /// <inheritdoc/>
    public ValueTask<MembersResponse> MembersAsync(bool linearizable = true, CancellationToken cancellationToken = default) => _core.MembersAsync(linearizable, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<MembersResponse> ChangeMembersAsync(MemberChange change, CancellationToken cancellationToken = default) => _transport is not NoPeers
        ? _core.ChangeMembersAsync(change, cancellationToken)
        : throw new MetaStoreException(MetaStoreError.InvalidArgument, "this node was opened without a transport: it can have no other members");

    /// <inheritdoc/>
    public ValueTask<MembersResponse> MoveLeaderAsync(ulong target, CancellationToken cancellationToken = default) => _core.MoveLeaderAsync(target, cancellationToken);

    /// <summary>
    /// Stops the node: takes nothing new, gives what is under way until the request timeout to finish, then ends the loops and
    /// closes the files. Whoever still waits hears <see cref="MetaStoreError.Stopped"/>.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _threads.StopAsync(_settings.RequestTimeout).ConfigureAwait(false);
        if (_core.Failure.Cause is null)
        {
            _core.ForgetEarlierSilence(BootClock.Instance.GetElapsedTime(_openedAt));
        }

        _core.Dispose();
        _parts.Dispose();
    }

    private NodeCore OpenCore(NodeSettings settings, TimeProvider time)
    {
        try
        {
            return new NodeCore(settings, new NodeSeams
            {
                Disk = _disk,
                Transport = _transport,
                Time = time,
                Signals = _threads.SignalOf,
                Parts = _parts,
                RunContinuationsAsynchronously = true,
            });
        }
        catch
        {
            _parts.Dispose();
            throw;
        }
    }

    private void OnFailed(ILogger logger)
    {
        Exception cause = _core.Failure.Cause!;
        logger.LogCritical(cause, "the node has failed: {Cause}", cause.Message);
        _failed.TrySetException(cause);
        _threads.WakeAll();
    }

    /// <summary>The transport of a node that has no peers.</summary>
    private sealed class NoPeers : IPeerTransport
    {
        public static NoPeers Instance { get; } = new();

        public void Send(GroupId group, Message message) =>
            throw new InvalidOperationException($"A node without peers was asked to send {message.Kind} to {message.To}.");

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
        {
            // A cluster of one; its door admits no change.
        }
    }
}

/// <summary>Where a node took up again; all 0 for a new one.</summary>
/// <param name="Term">Its Raft term.</param>
/// <param name="LastIndex">The last index of its log.</param>
/// <param name="SnapshotIndex">The index of the snapshot it loaded; 0 for none.</param>
public sealed record NodeRecovery(ulong Term, ulong LastIndex, ulong SnapshotIndex);
