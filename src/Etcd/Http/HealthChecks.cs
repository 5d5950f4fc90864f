using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Http;

/// <summary>
/// Whether the node does its work, found out by the calls that a client would make. A check answers null where all is well, else what is wrong.
/// </summary>
internal sealed class HealthChecks(RpcDesk desk, TimeProvider time)
{
    /// <summary>What a member without a vote says to most calls. It cannot tell of alarms then.</summary>
    private const string NotForLearners = "etcdserver: rpc not supported for learner";

    /// <summary>How long a check may take: what etcd gives a request of its own.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(7);

    /// <summary>No alarm is raised but those that are excluded, by name.</summary>
    public async ValueTask<string?> AlarmsAsync(IReadOnlyCollection<string> excluded, CancellationToken cancellationToken)
    {
        (AlarmResponse? answer, string? failure) = await CallAsync<AlarmResponse>("/etcdserverpb.Maintenance/Alarm", new AlarmRequest(), cancellationToken).ConfigureAwait(false);
        if (answer is null)
        {
            return failure is null or NotForLearners ? null : $"ALARM ERROR:{failure}";
        }

        AlarmMember? raised = answer.Alarms.FirstOrDefault(alarm => !excluded.Contains(Name(alarm)));
        return raised is null ? null : $"ALARM {Name(raised)}";
    }

    /// <summary>The data are not known to be damaged.</summary>
    public ValueTask<string?> DataCorruptionAsync(CancellationToken cancellationToken) => AlarmsAsync([Names(AlarmType.Nospace)], cancellationToken);

    /// <summary>The node knows a leader.</summary>
    public async ValueTask<string?> LeaderAsync(CancellationToken cancellationToken)
    {
        (StatusResponse? status, string? failure) = await StatusAsync(cancellationToken).ConfigureAwait(false);
        return failure ?? (status is { Leader: 0 } ? "RAFT NO LEADER" : null);
    }

    /// <summary>The node has a vote.</summary>
    public async ValueTask<string?> NonLearnerAsync(CancellationToken cancellationToken)
    {
        (StatusResponse? status, string? failure) = await StatusAsync(cancellationToken).ConfigureAwait(false);
        return failure ?? (status is { IsLearner: true } ? "not supported for learner" : null);
    }

    /// <summary>A key can be read: of this node alone, or with the word of a majority.</summary>
    public async ValueTask<string?> ReadAsync(bool serializable, CancellationToken cancellationToken)
    {
        var request = new RangeRequest { Key = ByteString.CopyFromUtf8("health"), KeysOnly = true, Limit = 1, Serializable = serializable };
        (_, string? failure) = await CallAsync<RangeResponse>("/etcdserverpb.KV/Range", request, cancellationToken).ConfigureAwait(false);
        return failure is null ? null : $"RANGE ERROR:{failure}";
    }

    private static string Name(AlarmMember member) => Names(member.Alarm);

    private static string Names(AlarmType alarm) => alarm switch
    {
        AlarmType.Nospace => "NOSPACE",
        AlarmType.Corrupt => "CORRUPT",
        _ => "UNKNOWN",
    };

    private ValueTask<(StatusResponse? Answer, string? Failure)> StatusAsync(CancellationToken cancellationToken) =>
        CallAsync<StatusResponse>("/etcdserverpb.Maintenance/Status", new StatusRequest(), cancellationToken);

    private async ValueTask<(T? Answer, string? Failure)> CallAsync<T>(string path, IMessage request, CancellationToken cancellationToken)
        where T : class
    {
        if (desk.Find(path)?.Method is not UnaryMethod method)
        {
            return (null, $"{path} is not served");
        }

        using var patience = new CancellationTokenSource(s_patience, time);
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            IMessage answer = await method.CallAsync(request, new CheckContext(ended.Token)).ConfigureAwait(false);
            return ((T)answer, null);
        }
        catch (RpcException e) when (e.Code is StatusCode.PermissionDenied or StatusCode.Unauthenticated || e.Message == "etcdserver: user name is empty")
        {
            // Whoever refuses a stranger is at work.
            return (null, null);
        }
        catch (RpcException e)
        {
            return (null, e.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, "context deadline exceeded");
        }
    }

    private sealed class CheckContext(CancellationToken ended) : RpcContext
    {
        public override CancellationToken Ended => ended;

        public override string? Metadata(string name) => null;
    }
}
