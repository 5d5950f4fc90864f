using System.Globalization;
using MetaStore.Engine;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Server.Output;

/// <summary>Whether an endpoint answers.</summary>
/// <param name="Endpoint">It.</param>
/// <param name="Took">How long its answer took.</param>
/// <param name="Error">Why there is none; null where there is one.</param>
internal sealed record EndpointHealth(string Endpoint, TimeSpan Took, string? Error);

/// <summary>What the commands "endpoint" and "snapshot status" print as rows: etcdctl's columns, and no others.</summary>
internal static class EndpointRows
{
    public static readonly string[] HealthHeads = ["endpoint", "health", "took", "error"];

    public static readonly string[] StatusHeads =
        ["endpoint", "id", "version", "db size", "is leader", "is learner", "raft term", "raft index", "raft applied index", "errors"];

    public static readonly string[] HashHeads = ["endpoint", "hash"];

    public static readonly string[] SnapshotHeads = ["hash", "revision", "total keys", "total size"];

    public static string[] Of(EndpointHealth health) => [health.Endpoint, Word(health.Error is null), GoText.Duration(health.Took), health.Error ?? string.Empty];

    public static string[] Of(EndpointAnswer<StatusResponse> status)
    {
        StatusResponse answer = status.Answer;
        return
        [
            status.Endpoint,
            answer.Header.NodeId.ToString("x", CultureInfo.InvariantCulture),
            answer.Version,
            NodeRows.Size(answer.StoreBytes),
            Word(answer.LeaderId != 0 && answer.LeaderId == answer.Header.NodeId),
            Word(answer.IsLearner),
            answer.Header.Term.ToString(CultureInfo.InvariantCulture),
            answer.LastIndex.ToString(CultureInfo.InvariantCulture),
            answer.AppliedIndex.ToString(CultureInfo.InvariantCulture),
            ErrorsOf(answer),
        ];
    }

    public static string[] Of(EndpointAnswer<HashResponse> hash) => [hash.Endpoint, hash.Answer.Hash.ToString(CultureInfo.InvariantCulture)];

    public static string[] Of(SavedSnapshot snapshot) =>
    [
        snapshot.Hash.ToString("x", CultureInfo.InvariantCulture),
        snapshot.Revision.ToString(),
        snapshot.KeyCount.ToString(CultureInfo.InvariantCulture),
        NodeRows.Size(snapshot.FileBytes),
    ];

    /// <summary>What the node knows to be wrong.</summary>
    public static string ErrorsOf(StatusResponse answer) => answer.LeaderId == 0 ? "no leader" : string.Empty;

    public static string Word(bool value) => value ? "true" : "false";
}
