using System.Runtime.InteropServices;

namespace MetaStore.Wal;

/// <summary>
/// The monotonic clock that runs on while the machine is suspended. A leader that was asleep must find its lease over, however short the
/// sleep looked to a clock that stood still. On Linux that is CLOCK_BOOTTIME, where the runtime's own is CLOCK_MONOTONIC, which stands
/// still; elsewhere the runtime's own runs on.
/// </summary>
public sealed partial class BootClock : TimeProvider
{
    private const int BootTime = 7;
    private const long NanosecondsPerSecond = 1_000_000_000;

    private BootClock()
    {
    }

    /// <summary>The clock for this system.</summary>
    public static TimeProvider Instance { get; } = OperatingSystem.IsLinux() ? new BootClock() : System;

    /// <inheritdoc/>
    public override long TimestampFrequency => NanosecondsPerSecond;

    /// <inheritdoc/>
    public override long GetTimestamp()
    {
        int result = ClockGetTime(BootTime, out TimeSpec time);
        Invariant.Check(result == 0, "CLOCK_BOOTTIME cannot be read; Linux has it since 2.6.39");
        return (time.Seconds * NanosecondsPerSecond) + time.Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ClockGetTime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec
    {
        public readonly long Seconds;
        public readonly long Nanoseconds;
    }
}
