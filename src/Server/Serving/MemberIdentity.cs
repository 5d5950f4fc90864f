using System.Net.Sockets;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Server.Serving;

/// <summary>
/// Finds out who this member is. A data directory that has been used says so itself. A new one is that of a member of a new cluster, whose
/// ids follow from the flags, or, where --initial-cluster-state is existing, of one that was added to a running cluster: that cluster
/// is asked, and knows the member by its peer url.
/// </summary>
internal static class MemberIdentity
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    /// <exception cref="RefusalException">It cannot be found out, or the member must not start.</exception>
    public static async Task<ServeOptions> ResolveAsync(ServeOptions options)
    {
        if (DirectoryIdentity.TryRead(new NativeDisk(), options.Node.DataDirectory) is { } known)
        {
            // Started as new with other flags than before: the log refuses it, and says whose the directory is.
            return options.ClusterState == ClusterState.Existing ? With(options, known.Identity.ClusterId, known.Identity.NodeId) : options;
        }

        return options.ClusterState == ClusterState.Existing && !HoldsLog(options.Node.DataDirectory) ? Join(options, await AskAsync(options)) : options;
    }

    private static bool HoldsLog(string dataDirectory)
    {
        string wal = Path.Combine(dataDirectory, "wal");
        return Directory.Exists(wal) && new NativeDisk().ListFiles(wal).Any(name => name.EndsWith(".wal", StringComparison.Ordinal));
    }

    private static ServeOptions With(ServeOptions options, ulong clusterId, ulong nodeId) => options with
    {
        Node = options.Node with { ClusterId = clusterId, NodeId = new NodeId(nodeId), Members = [] },
    };

    /// <summary>Asks the members that --initial-cluster names, one after the other, until one answers.</summary>
    /// <exception cref="RefusalException">None does.</exception>
    public static async Task<ClusterView> AskAsync(ServeOptions options)
    {
        string ownUrl = options.AdvertisePeerUrl.ToString();
        var failures = new List<string>();
        foreach (MemberAddress peer in options.Members.Where(member => member.PeerUrl.ToString() != ownUrl))
        {
            try
            {
                return await PeerDiscovery.AskAsync(peer.PeerUrl.ToString(), s_patience);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                failures.Add($"{peer.PeerUrl}: {e.Message}");
            }
        }

        string reasons = failures.Count == 0 ? "--initial-cluster names no other member." : string.Join("; ", failures);
        throw new RefusalException(
            ExitCode.UnusableData,
            $"--initial-cluster-state is existing and {options.Node.DataDirectory} does not say who the other members are, so one that runs must; none did: {reasons}");
    }

    private static ServeOptions Join(ServeOptions options, ClusterView view)
    {
        string ownUrl = options.AdvertisePeerUrl.ToString();
        Member self = view.Members.FirstOrDefault(member => member.PeerUrls.Contains(ownUrl)) ?? throw new RefusalException(
            ExitCode.UnusableData,
            $"no member of cluster {view.ClusterId:x16} has the peer url {ownUrl}; add this one first: metastore member add {options.Node.Name} --peer-urls={ownUrl}");
        if (self.DirectoryId != 0)
        {
            throw new RefusalException(
                ExitCode.UnusableData,
                $"member {self.Id:x16} ({ownUrl}) has run before, and {options.Node.DataDirectory} holds nothing of it." + Environment.NewLine
                + $"What it had promised is lost, so it cannot come back under its id. Mount or restore the directory, or: metastore member remove {self.Id:x16}, and add a new member.");
        }

        return With(options, view.ClusterId, self.Id);
    }
}
