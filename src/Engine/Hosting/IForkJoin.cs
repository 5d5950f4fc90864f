namespace MetaStore.Engine.Hosting;

/// <summary>Does the parts of one piece of work side by side where there are processors for it, while the caller waits for all of them (fork and join).</summary>
internal interface IForkJoin
{
    /// <summary>Parts that may be under way at once, 1 or more.</summary>
    int Width { get; }

    /// <summary>
    /// Has <paramref name="part"/> done for each number from 0 to <see cref="Width"/> - 1, on this thread and on others, and returns when all are. What a part has written, the caller sees. If parts
    /// fail, the failure of one of them is thrown, and how far the others came is not said.
    /// </summary>
    void Run(Action<int> part);

    /// <summary>
    /// Does <paramref name="work"/> on this thread and <paramref name="other"/>, which does not throw, on another one, and returns when both are done. Either may <see cref="Run"/> what it has to do.
    /// </summary>
    void Beside(Action work, Action other);
}

/// <summary>One part after the other on the caller's thread, and in an order in which nobody should rely on another one's work: the last one first.</summary>
internal sealed class InlineForkJoin(int width) : IForkJoin
{
    /// <summary>For who has one thread, and nobody to ask.</summary>
    public static InlineForkJoin One { get; } = new(1);

    public int Width => width;

    public void Run(Action<int> part)
    {
        for (int number = width - 1; number >= 0; number--)
        {
            part(number);
        }
    }

    public void Beside(Action work, Action other)
    {
        other();
        work();
    }
}
