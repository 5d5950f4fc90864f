namespace MetaStore.Engine.Memory;

/// <summary>
/// Whether native memory is watched over: each block between marks that say whether it is in use and whose it is, freed blocks filled with a pattern and kept
/// back for a while, and every access looked at first. For tests and the simulator: the switch <c>MetaStore.CheckedMemory</c>, which is read once, so that
/// where it is off the checks are not even in the machine code.
/// </summary>
internal static class MemoryChecks
{
    public const string SwitchName = "MetaStore.CheckedMemory";

    public static readonly bool Enabled = AppContext.TryGetSwitch(SwitchName, out bool isOn) && isOn;
}
