using System.Globalization;
using MetaStore.Engine;

namespace MetaStore.Server.Client;

/// <summary>Lease ids, as etcdctl writes them: hexadecimal.</summary>
internal static class LeaseText
{
    /// <exception cref="RefusalException">It is no lease id.</exception>
    public static long Parse(string flag, string text) =>
        long.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long id)
            ? id
            : throw new RefusalException(ExitCode.Usage, $"{flag} is \"{text}\"; it must be a lease id in hexadecimal, such as 694d5765fc71500b.");
}

/// <summary>The words for sorting, as etcdctl's.</summary>
internal static class SortText
{
    public static (string Word, SortTarget Value)[] Targets { get; } =
    [
        ("key", SortTarget.Key),
        ("create", SortTarget.CreateRevision),
        ("modify", SortTarget.ModRevision),
        ("value", SortTarget.Value),
        ("version", SortTarget.Version),
    ];

    public static (string Word, SortOrder Value)[] Orders { get; } =
    [
        ("none", SortOrder.None),
        ("ascend", SortOrder.Ascending),
        ("descend", SortOrder.Descending),
    ];
}
