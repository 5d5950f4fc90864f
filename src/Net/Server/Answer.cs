using MetaStore.Engine;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Server;

/// <summary>
/// What waits to be written to a connection. <paramref name="Content"/> is a <see cref="StoreResponse"/>, a <see cref="MetaStoreException"/>
/// (sent as an error), or null where the kind says all. <paramref name="RequestBytes"/> is what the request weighed in the gate;
/// -1 for what nobody asked for. <paramref name="WatchBytes"/> is what a response of a watch weighs while it waits to be written.
/// </summary>
internal readonly record struct Answer(ulong Correlation, FrameKind Kind, object? Content, int RequestBytes, int WatchBytes = 0)
{
    /// <summary>Marks an answer that belongs to no request.</summary>
    public const int Unasked = -1;

    public static Answer Notice(FrameKind kind) => new(0, kind, null, Unasked);
}

/// <summary>Where the answer to a request goes. May be called from any thread; returns at once.</summary>
internal interface IAnswerTarget
{
    void Complete(in Answer answer);
}
