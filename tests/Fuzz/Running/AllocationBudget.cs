namespace MetaStore.Fuzz.Running;

/// <summary>What reading an input may take of memory: so many bytes for each of its own, and some that every reading takes.</summary>
internal static class AllocationBudget
{
    private const long Fixed = 64 << 10;

    /// <summary>Runs it; fails where it allocates more on this thread. Once more is not counted: the first time, the runtime allocates for itself.</summary>
    public static T Hold<T>(int inputBytes, int factor, Func<T> read) => Within(Fixed + ((long)factor * inputBytes), read);

    /// <inheritdoc cref="Hold{T}"/>
    public static T Within<T>(long most, Func<T> read)
    {
        (T result, long taken) = Measure(read);
        if (taken > most)
        {
            (result, taken) = Measure(read);
        }

        FuzzFailure.Unless(taken <= most, $"reading it allocated {taken} bytes; {most} are allowed");
        return result;
    }

    private static (T Result, long Taken) Measure<T>(Func<T> read)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        T result = read();
        return (result, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
