using System.Globalization;
using System.Security.Cryptography;
using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.Maintenance.</summary>
internal sealed class MaintenanceService(MetaStoreNode node, EtcdServicesOptions options)
{
    /// <summary>Clients take a file for whole when its length is a multiple of this, and the sum behind it.</summary>
    private const int SnapshotBlock = 512;

    private int _snapshots;

    /// <summary>There are none, and none can be raised by hand. The answer has no header, as etcd's.</summary>
    public async ValueTask<Messages.AlarmResponse> AlarmAsync(Messages.AlarmRequest request, RpcContext context)
    {
        if (request.Action != Messages.AlarmRequest.Types.AlarmAction.Get)
        {
            await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        }

        if (request.Action == Messages.AlarmRequest.Types.AlarmAction.Activate)
        {
            throw EtcdErrors.NotCapable;
        }

        return new Messages.AlarmResponse();
    }

    public async ValueTask<Messages.StatusResponse> StatusAsync(Messages.StatusRequest request, RpcContext context)
    {
        StatusResponse status = await node.StatusAsync(context.Ended).ConfigureAwait(false);
        var answer = new Messages.StatusResponse
        {
            Header = AnswerForms.ToMessage(status.Header),
            Version = options.ServerVersion,
            DbSize = status.StoreBytes,
            DbSizeInUse = status.StoreBytesInUse,
            Leader = status.LeaderId,
            RaftIndex = status.CommitIndex,
            RaftTerm = status.Header.Term,
            RaftAppliedIndex = status.AppliedIndex,
            IsLearner = status.IsLearner,
            StorageVersion = options.ClusterVersion,
            DowngradeInfo = new Messages.DowngradeInfo(),
        };
        if (status.LeaderId == 0)
        {
            answer.Errors.Add(EtcdErrors.NoLeader.Message);
        }

        return answer;
    }

    /// <summary>Memory and log have no holes that only a halt could close: nothing is to be done.</summary>
    public async ValueTask<Messages.DefragmentResponse> DefragmentAsync(Messages.DefragmentRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        return new Messages.DefragmentResponse();
    }

    public async ValueTask<Messages.HashResponse> HashAsync(Messages.HashRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        HashResponse hash = await node.HashAsync(new HashRequest(Revision.Current), context.Ended).ConfigureAwait(false);
        return new Messages.HashResponse { Header = AnswerForms.ToMessage(hash.Header), Hash = hash.Hash };
    }

    public async ValueTask<Messages.HashKVResponse> HashKeysAsync(Messages.HashKVRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        HashResponse hash = await node.HashAsync(new HashRequest(new Revision(request.Revision)), context.Ended).ConfigureAwait(false);
        return new Messages.HashKVResponse
        {
            Header = AnswerForms.ToMessage(hash.Header),
            Hash = hash.Hash,
            HashRevision = hash.HashRevision.Value,
            CompactRevision = hash.CompactRevision.Value == 0 ? -1 : hash.CompactRevision.Value, // As etcd says "never".
        };
    }

    /// <summary>
    /// The store as it is on this member: not a file of etcd's, but what this store's snapshots carry, filled up with zeros to whole blocks. The last message is the SHA-256
    /// of all before it. A snapshot holds history back as long as it lasts, so there are few at a time, and one of which nothing is taken for long is ended.
    /// </summary>
    public async Task SnapshotAsync(Messages.SnapshotRequest request, IRpcWriter<Messages.SnapshotResponse> answers, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        try
        {
            if (Interlocked.Increment(ref _snapshots) > options.SnapshotsMax)
            {
                throw new RpcException(
                    StatusCode.ResourceExhausted, $"{options.SnapshotsMax} snapshots are being taken of this member; try again later, or ask another one");
            }

            await SendSnapshotAsync(answers, context).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _snapshots);
        }
    }

    public async ValueTask<Messages.MoveLeaderResponse> MoveLeaderAsync(Messages.MoveLeaderRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        if (node.LeaderId != node.NodeId)
        {
            throw EtcdErrors.NotLeader;
        }

        MembersResponse moved = await node.MoveLeaderAsync(request.TargetID, context.Ended).ConfigureAwait(false);
        return new Messages.MoveLeaderResponse { Header = AnswerForms.ToMemberHeader(moved.Header) };
    }

    /// <summary>There is no older release of this store to go back to, so no version is a target.</summary>
    public async ValueTask<Messages.DowngradeResponse> DowngradeAsync(Messages.DowngradeRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        if (request.Action == Messages.DowngradeRequest.Types.DowngradeAction.Cancel)
        {
            throw EtcdErrors.NoInflightDowngrade;
        }

        throw IsVersion(request.Version) ? EtcdErrors.InvalidDowngradeTarget : EtcdErrors.WrongDowngradeVersion;
    }

    /// <summary>Two or three numbers with points between them.</summary>
    private static bool IsVersion(string text)
    {
        string[] parts = text.Split('.');
        return parts.Length is 2 or 3 && parts.All(part => uint.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out _));
    }

    private async Task SendSnapshotAsync(IRpcWriter<Messages.SnapshotResponse> answers, RpcContext context)
    {
        using StoreExport export = node.Export();
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long padding = (SnapshotBlock - (export.Length % SnapshotBlock)) % SnapshotBlock;
        long left = export.Length + padding;
        for (ReadOnlyMemory<byte> piece = export.ReadNext(); !piece.IsEmpty; piece = export.ReadNext())
        {
            left = await SendAsync(piece, left, sum, answers, context).ConfigureAwait(false);
        }

        left = await SendAsync(new byte[padding], left, sum, answers, context).ConfigureAwait(false);
        Invariant.Check(left == 0, "an export is not as long as it said");
        var end = new Messages.SnapshotResponse { Blob = ByteString.CopyFrom(sum.GetHashAndReset()), Version = options.ClusterVersion };
        await SendAsync(end, answers, context).ConfigureAwait(false);
    }

    private async ValueTask SendAsync(Messages.SnapshotResponse message, IRpcWriter<Messages.SnapshotResponse> answers, RpcContext context)
    {
        using var patience = new CancellationTokenSource(options.SnapshotPatience, options.Time);
        using CancellationTokenRegistration ended = context.Ended.UnsafeRegister(static patience => ((CancellationTokenSource)patience!).Cancel(), patience);
        try
        {
            await answers.WriteAsync(message, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!context.Ended.IsCancellationRequested)
        {
            throw new RpcException(StatusCode.Aborted, $"nothing was taken of the snapshot for {options.SnapshotPatience.TotalSeconds} s, so it is given up");
        }
    }

    private async ValueTask<long> SendAsync(
        ReadOnlyMemory<byte> piece, long left, IncrementalHash sum, IRpcWriter<Messages.SnapshotResponse> answers, RpcContext context)
    {
        sum.AppendData(piece.Span);
        while (!piece.IsEmpty)
        {
            ReadOnlyMemory<byte> blob = piece[..Math.Min(piece.Length, options.SnapshotMessageBytes)];
            piece = piece[blob.Length..];
            left -= blob.Length;
            var answer = new Messages.SnapshotResponse { RemainingBytes = (ulong)left, Blob = ByteString.CopyFrom(blob.Span), Version = options.ClusterVersion };
            await SendAsync(answer, answers, context).ConfigureAwait(false);
        }

        return left;
    }
}
