using System.Diagnostics;

namespace MetaStore.Etcd.Metrics;

/// <summary>The process as the operating system sees it, under the names that Prometheus has for that. What a system cannot tell is left out.</summary>
internal static class ProcessMetrics
{
    private const string Descriptors = "/proc/self/fd";

    /// <summary>Writes them.</summary>
    public static void Write(PrometheusText text, long? openFilesMax)
    {
        using var process = Process.GetCurrentProcess();
        text.Counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", process.TotalProcessorTime.TotalSeconds);
        text.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process.WorkingSet64);
        text.Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.VirtualMemorySize64);
        text.Gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", new DateTimeOffset(process.StartTime).ToUnixTimeMilliseconds() / 1000.0);
        if (Directory.Exists(Descriptors))
        {
            int open = Directory.EnumerateFileSystemEntries(Descriptors).Count();
            text.Gauge("process_open_fds", "Number of open file descriptors.", open);
            text.Gauge("os_fd_used", "The number of used file descriptors.", open);
        }

        if (openFilesMax is { } limit)
        {
            text.Gauge("process_max_fds", "Maximum number of open file descriptors.", limit);
            text.Gauge("os_fd_limit", "The file descriptor limit.", limit);
        }

        text.Gauge("metastore_managed_heap_bytes", "Managed memory in use, in bytes.", GC.GetTotalMemory(forceFullCollection: false));
        text.Gauge("metastore_managed_heap_committed_bytes", "Managed memory taken from the system, in bytes, as of the last collection.", GC.GetGCMemoryInfo().TotalCommittedBytes);
        text.Counter("metastore_gc_pause_seconds_total", "Time for which collections of garbage have stopped the process.", GC.GetTotalPauseDuration().TotalSeconds);
        text.Counter("metastore_allocated_bytes_total", "Managed memory that was allocated since the start.", GC.GetTotalAllocatedBytes());
    }
}
