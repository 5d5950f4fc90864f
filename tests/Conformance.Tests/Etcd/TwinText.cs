using System.Text.RegularExpressions;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>Texts of programs without what two runs of one program would not have in common.</summary>
internal static class TwinText
{
    private static readonly Regex s_words = Make("\"(?<quoted>[^\"]*)\"|[^ ]+");
    private static readonly Regex s_widthOfTable = Make("([- ])[- ]+");
    private static readonly Regex s_number = Make("[0-9][0-9.]*( [kMG]?B)?");
    private static readonly Regex s_wordsOfError = Make("\"(error|message)\":\"([^\"\\\\]|\\\\.)*\"");

    private static readonly (Regex What, string Instead)[] s_chance =
    [
        (Make("\"(cluster_id|member_id|raft_term)\":\"?\\d+\"?"), "\"$1\":N"),
        (Make("\"(ClusterID|MemberID|RaftTerm)\" : \\d+"), "\"$1\" : N"),

        // A cluster, or a lease whose number nobody chose, in hexadecimal or decimal.
        (Make("\\b[0-9a-f]{12,16}\\b|\\b[0-9]{15,20}\\b"), "<id>"),

        // A number with fewer digits has more spaces before it.
        (Make(" +<(L|F|G|id)>"), " <$1>"),
        (Make("\"ts\":[^,]*,"), string.Empty),
        (Make("\"target\":\"[^\"]*\""), "\"target\":\"<target>\""),
        (Make("\\b[0-9.]+(ns|µs|Âµs|ms|s)\\b"), "<took>"),

        // Behind the words of a panic of etcdctl.
        (Make("\\ngoroutine (.|\\n)*"), "\n"),
    ];

    /// <summary>The arguments of a command line; quotes hold together what has spaces, or is empty.</summary>
    public static IEnumerable<string> Words(string command) =>
        s_words.Matches(command).Select(word => word.Groups["quoted"].Success ? word.Groups["quoted"].Value : word.Value);

    /// <summary>Takes out ids, terms and times, and from tables the widths that follow from them.</summary>
    public static string WithoutChance(string text)
    {
        text = s_chance.Aggregate(text, (all, chance) => chance.What.Replace(all, chance.Instead));
        return text.StartsWith("+-", StringComparison.Ordinal) ? s_widthOfTable.Replace(text, "$1") : text;
    }

    /// <summary>Takes out what a step may differ in.</summary>
    public static string Allowing(string text, License license)
    {
        text = license.HasFlag(License.Words) ? s_wordsOfError.Replace(text, "\"$1\":\"…\"") : text;
        text = license.HasFlag(License.Numbers) ? s_number.Replace(text, "N") : text;
        return license.HasFlag(License.Order) ? string.Join('\n', text.Split('\n', ',', '"').Order(StringComparer.Ordinal)) : text;
    }

    private static Regex Make(string pattern) => new(pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));
}
