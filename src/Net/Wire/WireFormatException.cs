using MetaStore.Engine;

namespace MetaStore.Net.Wire;

/// <summary>
/// Bytes of the other side that are not what the protocol says. The one exception a decoder throws, whatever the input;
/// <see cref="Error"/> is what the sender is told.
/// </summary>
internal sealed class WireFormatException(string message, MetaStoreError error = MetaStoreError.Protocol) : Exception(message)
{
    public MetaStoreError Error { get; } = error;
}
