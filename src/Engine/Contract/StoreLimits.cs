namespace MetaStore.Engine;

/// <summary>How much one request may ask for. The defaults are etcd's.</summary>
public sealed record StoreLimits
{
    /// <summary>Operations in a transaction, counted through nesting as etcd does.</summary>
    public int TxnOperationsMax { get; init; } = 128;

    /// <summary>Levels of nested transactions.</summary>
    public int TxnDepthMax { get; init; } = 8;

    /// <summary>Bytes of one request.</summary>
    public int RequestBytesMax { get; init; } = 3 << 19;
}
