using System.Runtime.InteropServices;

namespace MetaStore.Engine.Hosting;

/// <summary>By futex(2). An interrupted wait, one that came too late and one that timed out all return alike: the caller looks again anyway.</summary>
internal sealed partial class FutexWord : WaitWord
{
    private const int WaitPrivate = 128; // FUTEX_WAIT | FUTEX_PRIVATE_FLAG
    private const int WakePrivate = 129; // FUTEX_WAKE | FUTEX_PRIVATE_FLAG

    // The longest sleep that is asked for: a wait without end wakes once a day, and sleeps on.
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(1);

    // The number of the system call, which differs by architecture.
    private static readonly nint s_futex = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 202,
        Architecture.Arm64 => 98,
        _ => 0,
    };

    public static bool IsSupported => OperatingSystem.IsLinux() && s_futex != 0;

    public override void WaitWhile(int value, TimeSpan timeout)
    {
        if (timeout == Timeout.InfiniteTimeSpan || timeout > s_longest)
        {
            timeout = s_longest;
        }

        var span = new TimeSpec(timeout);
        _ = Wait(s_futex, ref Value, WaitPrivate, value, in span);
    }

    public override void WakeOne() => _ = Wake(s_futex, ref Value, WakePrivate, 1);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint Wait(nint number, ref int word, int operation, int value, in TimeSpec timeout);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint Wake(nint number, ref int word, int operation, int count);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec(TimeSpan span)
    {
        public readonly long Seconds = span.Ticks / TimeSpan.TicksPerSecond;
        public readonly long Nanoseconds = span.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick;
    }
}
