using MetaStore.Engine;

namespace MetaStore.Net.Client;

/// <summary>When a failed try may be followed by another.</summary>
internal static class RetryPolicy
{
    /// <summary>
    /// Reads may always be repeated; a write only when it is certain that it has not been applied. And only after errors that time or another
    /// node can mend.
    /// </summary>
    public static bool MayRetry(MetaStoreException failure, bool isReadOnly)
    {
        bool isSafe = isReadOnly || failure.Outcome == Outcome.NotApplied || KnownBugs.UncertainWriteRepeated;
        bool canMend = failure.Error switch
        {
            MetaStoreError.ConnectionLost or MetaStoreError.NoLeader or MetaStoreError.Busy or MetaStoreError.Stopped
                or MetaStoreError.Timeout or MetaStoreError.NodeFailed => true,
            _ => false,
        };
        return isSafe && canMend;
    }

    /// <summary>Whether another node may do better at once, without a pause.</summary>
    public static bool IsOfOneNode(MetaStoreException failure) =>
        failure.Error is MetaStoreError.ConnectionLost or MetaStoreError.Stopped or MetaStoreError.NodeFailed;

    /// <summary>What the caller gets when the time is up.</summary>
    public static MetaStoreException GiveUp(MetaStoreException last, int tries, TimeSpan timeout) => tries == 1
        ? last
        : new MetaStoreException(
            last.Error, $"Given up after {tries} tries within {timeout.TotalMilliseconds} ms; the last failed with: {last.Message}", last.Outcome, last);
}
