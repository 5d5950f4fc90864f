using System.Globalization;
using MetaStore.Engine;

namespace MetaStore.Server.Output;

/// <summary>Status and hash as rows, for the simple and the table format.</summary>
internal static class NodeRows
{
    public static readonly string[] StatusHeads =
        ["endpoint", "id", "name", "version", "disk size", "is leader", "raft term", "raft index", "raft applied index", "revision", "keys", "holds data"];

    public static readonly string[] HashHeads = ["endpoint", "hash", "hash revision", "compact revision"];

    public static string[] Of(EndpointAnswer<StatusResponse> status)
    {
        StatusResponse answer = status.Answer;
        return
        [
            status.Endpoint,
            answer.Header.NodeId.ToString("x16"),
            answer.Name,
            answer.Version,
            Size(answer.DiskBytes),
            answer.LeaderId != 0 && answer.LeaderId == answer.Header.NodeId ? "true" : "false",
            answer.Header.Term.ToString(),
            answer.LastIndex.ToString(),
            answer.AppliedIndex.ToString(),
            answer.Header.Revision.ToString(),
            answer.KeyCount.ToString(),
            answer.IsWitness ? "no: witness" : "yes",
        ];
    }

    public static string[] Of(EndpointAnswer<HashResponse> hash) =>
        [hash.Endpoint, hash.Answer.Hash.ToString(), hash.Answer.HashRevision.ToString(), hash.Answer.CompactRevision.ToString()];

    public static readonly string[] MemberHeads = ["id", "status", "name", "peer addrs", "client addrs", "is learner", "is witness", "priority"];

    /// <summary>As etcdctl shows a member, and behind that what it knows nothing of.</summary>
    public static string[] Of(Member member) =>
    [
        member.Id.ToString("x16"),
        member.DirectoryId == 0 && member.Name.Length == 0 ? "unstarted" : "started",
        member.Name,
        string.Join(',', member.PeerUrls),
        string.Join(',', member.ClientUrls),
        member.IsLearner ? "true" : "false",
        member.IsWitness ? "true" : "false",
        member.IsWitness ? "-" : member.Priority.ToString(CultureInfo.InvariantCulture),
    ];

    public static string Describe(string done, MembersResponse answer) => $"Member {answer.MemberId:x16} {done} cluster {answer.Header.ClusterId:x16}";

    /// <summary>Bytes for people: 67 MB.</summary>
    public static string Size(long bytes)
    {
        string[] units = ["B", "kB", "MB", "GB", "TB"];
        double size = bytes;
        int unit = 0;
        for (; size >= 999.5 && unit < units.Length - 1; unit++)
        {
            size /= 1000;
        }

        return size.ToString(unit > 0 && size < 9.95 ? "0.0" : "0", CultureInfo.InvariantCulture) + " " + units[unit];
    }
}
