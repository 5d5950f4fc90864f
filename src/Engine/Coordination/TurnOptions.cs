namespace MetaStore.Engine.Coordination;

/// <summary>How a lock or a candidacy is held.</summary>
public sealed record TurnOptions
{
    /// <summary>
    /// The time to live of the lease that it hangs on, in seconds: a holder that dies loses it after that at the latest, one that is cut off must give it up a little before. 1 or more; raised
    /// where the store's least is higher.
    /// </summary>
    public long TtlSeconds { get; init; } = 10;

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message says which and what would be right.</exception>
    public void Validate()
    {
        if (TtlSeconds is < 1 or > LeaseGrantRequest.TtlMax)
        {
            throw new ArgumentException($"TtlSeconds is {TtlSeconds}; it must be from 1 to {LeaseGrantRequest.TtlMax}.");
        }
    }
}
