namespace MetaStore.Testing.Linearizability;

/// <summary>What a client did to one key.</summary>
public enum RegisterAction
{
    /// <summary>Stored <see cref="RegisterOperation.Value"/>.</summary>
    Put,

    /// <summary>Read the key.</summary>
    Get,

    /// <summary>Removed the key.</summary>
    Delete,

    /// <summary>Stored <see cref="RegisterOperation.Value"/> if the version was <see cref="RegisterOperation.ExpectedVersion"/>.</summary>
    CompareAndPut,
}

/// <summary>
/// The state of one key as an observer sees it: which value (each written value is unique, 0 is none) and its version. The version
/// makes every applied write visible, so that one that was applied twice, or lost and repeated, shows.
/// </summary>
public readonly record struct RegisterState(long Value, long Version)
{
    public static readonly RegisterState Absent;
}

/// <summary>One operation on one key: what was asked, when, and what came back.</summary>
public sealed record RegisterOperation
{
    public required RegisterAction Action { get; init; }

    public long Value { get; init; }

    public long ExpectedVersion { get; init; }

    /// <summary>When the client asked: a position in the history's total order of events.</summary>
    public required long Invoked { get; init; }

    /// <summary>When the answer came; <see cref="long.MaxValue"/> where none did, and the operation may take effect at any later time, or never.</summary>
    public long Returned { get; init; } = long.MaxValue;

    /// <summary>Put, Delete: the state it replaced, where known. Get: the state it saw.</summary>
    public RegisterState? Seen { get; init; }

    /// <summary>CompareAndPut: whether it stored.</summary>
    public bool? Succeeded { get; init; }

    /// <summary>Where the store says it belongs. Only the order of the search depends on it, never the verdict.</summary>
    public long Hint { get; init; } = long.MaxValue;

    /// <summary>No answer came.</summary>
    public bool IsUnknown => Returned == long.MaxValue;
}

/// <summary>The sequential specification: what each operation does to the state, and whether its answer fits.</summary>
internal static class RegisterModel
{
    /// <summary>The state after the operation, or null where its answer is impossible in that state.</summary>
    public static RegisterState? Apply(RegisterState state, RegisterOperation operation)
    {
        if (operation.Seen is RegisterState seen && seen != state)
        {
            return null;
        }

        switch (operation.Action)
        {
            case RegisterAction.Get:
                return state;
            case RegisterAction.Put:
                return new RegisterState(operation.Value, state.Version + 1);
            case RegisterAction.Delete:
                return RegisterState.Absent;
            default:
                bool stores = state.Version == operation.ExpectedVersion;
                if (operation.Succeeded is bool succeeded && succeeded != stores)
                {
                    return null;
                }

                return stores ? new RegisterState(operation.Value, state.Version + 1) : state;
        }
    }
}
