namespace MetaStore.Simulation;

/// <summary>What a client asks for that insists on answers.</summary>
internal enum ClientWish
{
    /// <summary>Whatever it draws.</summary>
    Anything,

    /// <summary>Reads of all keys at once.</summary>
    AllKeys,

    /// <summary>Puts, so that there is something to write.</summary>
    Puts,
}
