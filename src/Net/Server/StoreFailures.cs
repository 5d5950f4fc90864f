using MetaStore.Engine;
using MetaStore.Net.Wire;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Server;

/// <summary>Turns what a store throws into what a client is told.</summary>
internal sealed class StoreFailures(ILogger logger)
{
    public MetaStoreException ToAnswer(Exception exception, object? request)
    {
        // Asked of reads, "may have been applied" has no meaning; it would only keep clients from trying again.
        Outcome outcome = ChangesNothing(request) ? Outcome.NotApplied : Outcome.Unknown;
        switch (exception)
        {
            case MetaStoreException known:
                return known;
            case OperationNotProposedException:
                return new MetaStoreException(MetaStoreError.NoLeader, "There is no leader: none took the request before its deadline passed.");
            case OperationCanceledException:
                return new MetaStoreException(MetaStoreError.Timeout, "The request's deadline passed before the store had answered.", outcome);
            default:
                logger.LogError(exception, "The store failed in a way it does not announce; the client is told NodeFailed.");
                return new MetaStoreException(
                    MetaStoreError.NodeFailed, $"The node failed unexpectedly ({exception.GetType().Name}); its log says more.", outcome);
        }
    }

    private static bool ChangesNothing(object? request) => request switch
    {
        StoreRequest operation => RequestCodec.IsReadOnly(operation),
        ClusterCall call => call.IsReadOnly,
        _ => true,
    };
}
