namespace MetaStore.Server.Serving;

/// <summary>The member list of the flag --initial-cluster: name=url,name=url.</summary>
internal static class InitialCluster
{
    private const string Flag = "--initial-cluster";

    /// <exception cref="RefusalException">The list is wrong; the message says what.</exception>
    public static IReadOnlyList<MemberAddress> Parse(string text)
    {
        var members = new List<MemberAddress>();
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = part.IndexOf('=');
            if (equals <= 0)
            {
                throw Refuse($"\"{part}\" is not understood; members look like n1=http://10.0.0.1:2380, with commas between.");
            }

            var member = new MemberAddress(part[..equals].Trim(), HttpUrl.Parse(Flag, part[(equals + 1)..].Trim()));
            if (members.Exists(other => other.Name == member.Name))
            {
                throw Refuse($"the name \"{member.Name}\" stands there twice; each member has one name and one peer url.");
            }

            if (members.Find(other => other.PeerUrl == member.PeerUrl) is { } twin)
            {
                throw Refuse($"{twin.Name} and {member.Name} have the same peer url {member.PeerUrl}; each member has its own.");
            }

            members.Add(member);
        }

        return members.Count > 0 ? members : throw Refuse("it is empty; it should look like n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380.");
    }

    private static RefusalException Refuse(string what) => new(ExitCode.Usage, $"{Flag}: {what}");
}
