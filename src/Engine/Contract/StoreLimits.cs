namespace MetaStore.Engine;

/// <summary>How much one request may ask for. The defaults are etcd's.</summary>
public sealed record StoreLimits
{
    /// <summary>
    /// Keys and values in the answer to one transaction, or to one removal that returns what was there, in bytes, with 192 more for each. What would be larger is applied, and answered with
    /// <see cref="MetaStoreError.ResponseTooLarge"/>. No setting: all members must judge alike what a session keeps.
    /// </summary>
    public const int AnswerBytesMax = 64 << 20;

    /// <summary>Operations in a transaction, counted through nesting as etcd does.</summary>
    public int TxnOperationsMax { get; init; } = 128;

    /// <summary>Levels of nested transactions.</summary>
    public int TxnDepthMax { get; init; } = 8;

    /// <summary>Bytes of one request.</summary>
    public int RequestBytesMax { get; init; } = 3 << 19;
}
