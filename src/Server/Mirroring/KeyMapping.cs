using MetaStore.Engine;

namespace MetaStore.Server.Mirroring;

/// <summary>Which keys are mirrored, and what they are called at the destination.</summary>
/// <param name="Prefix">What they begin with; empty for all.</param>
/// <param name="DestinationPrefix">What stands there in its place.</param>
internal sealed record KeyMapping(byte[] Prefix, byte[] DestinationPrefix)
{
    /// <exception cref="MetaStoreException">Nothing would be left of the key.</exception>
    public byte[] Map(ReadOnlyMemory<byte> key)
    {
        byte[] mapped = [.. DestinationPrefix, .. key.Span[Prefix.Length..]];
        return mapped.Length > 0
            ? mapped
            : throw new MetaStoreException(MetaStoreError.EmptyKey, "the key that is the prefix itself would have no name at the destination; give --dest-prefix");
    }
}
