namespace MetaStore.Engine.Memory;

/// <summary>
/// The sizes in which an arena hands out blocks. Steps of 16 bytes to 2 KiB, of 64 to 4 KiB, of 512 to 16 KiB: what a block is larger than asked for is at most
/// 15 bytes for small ones and a ninth for large ones. Beyond that a block is an allocation of its own.
/// </summary>
internal static class SizeClasses
{
    public const int LargestBytes = 16 << 10;

    private const int SmallStep = 16;
    private const int SmallMax = 2 << 10;
    private const int MiddleStep = 64;
    private const int MiddleMax = 4 << 10;
    private const int LargeStep = 512;
    private const int SmallCount = SmallMax / SmallStep;
    private const int MiddleCount = (MiddleMax - SmallMax) / MiddleStep;

    /// <summary>How many there are.</summary>
    public const int Count = SmallCount + MiddleCount + ((LargestBytes - MiddleMax) / LargeStep);

    /// <summary>The smallest class that holds so many bytes; from 1 to <see cref="LargestBytes"/>.</summary>
    public static int Of(int bytes) => bytes switch
    {
        <= SmallMax => (bytes - 1) / SmallStep,
        <= MiddleMax => SmallCount + ((bytes - SmallMax - 1) / MiddleStep),
        _ => SmallCount + MiddleCount + ((bytes - MiddleMax - 1) / LargeStep),
    };

    /// <summary>Bytes of a block of the class.</summary>
    public static int BytesOf(int sizeClass) => sizeClass switch
    {
        < SmallCount => (sizeClass + 1) * SmallStep,
        < SmallCount + MiddleCount => SmallMax + ((sizeClass - SmallCount + 1) * MiddleStep),
        _ => MiddleMax + ((sizeClass - SmallCount - MiddleCount + 1) * LargeStep),
    };
}
