using MetaStore.Engine;

namespace MetaStore.Net.Client;

/// <summary>When a failed try may be followed by another.</summary>
internal static class RetryPolicy
{
    /// <summary>
    /// What does no harm when done twice may always be repeated; a write only when it is certain that it has not been applied. And only after
    /// errors that time or another node can mend.
    /// </summary>
    /// <param name="failure">Of the try before.</param>
    /// <param name="isRepeatable">Whether it may be repeated though it may have been applied.</param>
    /// <param name="endpoints">How many nodes there are to ask.</param>
    public static bool MayRetry(MetaStoreException failure, bool isRepeatable, int endpoints)
    {
        bool anotherMay = failure.Error == MetaStoreError.WitnessMember && endpoints > 1;
        bool isSafe = isRepeatable || failure.Outcome == Outcome.NotApplied || KnownBugs.UncertainWriteRepeated;
        return isSafe && (failure.IsTransient || anotherMay);
    }

    /// <summary>Whether another node may do better at once, without a pause.</summary>
    public static bool IsOfOneNode(MetaStoreException failure) =>
        failure.Error is MetaStoreError.ConnectionLost or MetaStoreError.Stopped or MetaStoreError.NodeFailed or MetaStoreError.WitnessMember;

    /// <summary>What the caller gets when the time is up.</summary>
    /// <param name="last">The failure of the last try.</param>
    /// <param name="tries">How many there were.</param>
    /// <param name="timeout">How long.</param>
    /// <param name="outcome">Of all tries: the last may have done nothing, and one before it something.</param>
    public static MetaStoreException GiveUp(MetaStoreException last, int tries, TimeSpan timeout, Outcome outcome) => tries == 1
        ? last
        : new MetaStoreException(
            last.Error, $"Given up after {tries} tries within {timeout.TotalMilliseconds} ms; the last failed with: {last.Message}", outcome, last);
}
