using System.Runtime.ExceptionServices;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// A fork and join on threads of its own, which sleep while there is nothing to do. Parts are taken by whoever is there first, so that a caller waits for no thread that has not woken yet: in the
/// worst case it does all of them itself. One piece of work at a time; whoever comes meanwhile does his own alone.
/// </summary>
internal sealed class ForkJoinThreads : IForkJoin, IDisposable
{
    private readonly SemaphoreSlim _begun = new(0);
    private readonly SemaphoreSlim _allDone = new(0);
    private readonly Exception?[] _errors;
    private readonly Thread[] _helpers;
    private Action<int>? _part;
    private int _taken;
    private int _done;
    private int _busy;
    private volatile bool _stopping;

    /// <param name="width">Parts at once, the caller's included; 1 or more.</param>
    public ForkJoinThreads(int width)
    {
        Invariant.Check(width >= 1, $"work is done in {width} parts");
        _taken = width;
        _errors = new Exception?[width];
        _helpers = [.. Enumerable.Range(1, width - 1).Select(number => new Thread(Help) { Name = $"metastore-part-{number}", IsBackground = true })];
        Array.ForEach(_helpers, helper => helper.UnsafeStart());
    }

    /// <summary>As many parts as there are processors, up to four: what they write to is the memory that they share.</summary>
    public static int DefaultWidth => Math.Min(4, Environment.ProcessorCount);

    public int Width => _errors.Length;

    public void Run(Action<int> part)
    {
        if (_helpers.Length == 0 || Interlocked.Exchange(ref _busy, 1) != 0)
        {
            new InlineForkJoin(Width).Run(part);
            return;
        }

        try
        {
            Array.Clear(_errors);
            _part = part;
            _done = 0;
            Volatile.Write(ref _taken, 0); // From here on they may begin.
            _begun.Release(_helpers.Length);
            TakeParts();
            _allDone.Wait();
            _part = null;
            if (Array.Find(_errors, error => error is not null) is { } first)
            {
                ExceptionDispatchInfo.Throw(first);
            }
        }
        finally
        {
            Volatile.Write(ref _busy, 0);
        }
    }

    public void Beside(Action work, Action other)
    {
        var thread = new Thread(() => other()) { Name = "metastore-beside", IsBackground = true };
        thread.UnsafeStart();
        try
        {
            work();
        }
        finally
        {
            thread.Join();
        }
    }

    public void Dispose()
    {
        _stopping = true;
        _begun.Release(Math.Max(1, _helpers.Length));
        Array.ForEach(_helpers, helper => helper.Join());
        _begun.Dispose();
        _allDone.Dispose();
    }

    private void Help()
    {
        while (true)
        {
            _begun.Wait();
            if (_stopping)
            {
                return;
            }

            TakeParts();
        }
    }

    /// <summary>A thread that wakes late finds no part left, or is early for the next work.</summary>
    private void TakeParts()
    {
        while (Interlocked.Increment(ref _taken) is var taken && taken <= Width)
        {
            try
            {
                _part!(taken - 1);
            }
#pragma warning disable CA1031 // Whatever it is, it is thrown where the work was asked for.
            catch (Exception error)
#pragma warning restore CA1031
            {
                _errors[taken - 1] = error;
            }

            if (Interlocked.Increment(ref _done) == Width)
            {
                _allDone.Release();
            }
        }
    }
}
