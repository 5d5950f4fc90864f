using MetaStore.Engine.Replication;

namespace MetaStore.Engine.Hosting;

/// <summary>A node without threads, whatever groups it has: what those need who step its loops and end it.</summary>
internal interface ILoopHost : IPeerMessageSink, IDisposable
{
    IReadOnlyList<ILoop> Loops { get; }

    NodeFailure Failure { get; }

    IReadOnlyList<GroupCore> Groups { get; }

    /// <summary>Handles that somebody holds; 0 at rest.</summary>
    long OperationsRented { get; }

    /// <summary>Refuses what comes from now on. The loops may run on, to finish what is under way.</summary>
    void RefuseNew();

    /// <summary>Tells everybody who still waits that the node has stopped. The loops run no more.</summary>
    void AbandonAll();
}
