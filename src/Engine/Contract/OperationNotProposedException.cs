namespace MetaStore.Engine;

/// <summary>
/// An operation was cancelled before anybody but its own node had seen it: <see cref="Outcome.NotApplied"/>, for certain. So it goes where no leader
/// is known. Any other <see cref="OperationCanceledException"/> leaves the outcome of a write open.
/// </summary>
public sealed class OperationNotProposedException(CancellationToken cancellationToken)
    : OperationCanceledException("The operation was cancelled before a leader took it; it has not been applied.", cancellationToken);
