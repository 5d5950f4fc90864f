using MetaStore.Engine.Hosting;

namespace MetaStore.Engine.Tests;

public class ForkJoinTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void EachPartIsDoneOnce_AndTheCallerSeesWhatTheyWrote(int width)
    {
        using var parts = new ForkJoinThreads(width);
        int[] done = new int[width];
        for (int round = 1; round <= 20_000; round++)
        {
            parts.Run(part => done[part]++);
            Assert.All(done, count => Assert.Equal(round, count));
        }
    }

    [Fact]
    public void PartsRunSideBySide()
    {
        using var parts = new ForkJoinThreads(3);
        using var all = new Barrier(3);
        parts.Run(_ => Assert.True(all.SignalAndWait(TimeSpan.FromSeconds(30)), "another part waits for this one to end"));
    }

    [Fact]
    public void AFailureIsThrownAtTheCaller_AndWhatComesNextIsDone()
    {
        using var parts = new ForkJoinThreads(2);
        for (int round = 0; round < 1000; round++)
        {
            int failing = round % 2;
            Assert.Equal("no", Assert.Throws<InvalidDataException>(() => parts.Run(part =>
            {
                if (part == failing)
                {
                    throw new InvalidDataException("no");
                }
            })).Message);
            int done = 0;
            parts.Run(_ => Interlocked.Increment(ref done));
            Assert.Equal(2, done);
        }

        Assert.Throws<InvalidDataException>(() => new InlineForkJoin(2).Run(part => throw new InvalidDataException("no")));
    }

    /// <summary>Whoever comes while others are at work, from outside or from within a part, does all of his own.</summary>
    [Fact]
    public void WhoComesMeanwhile_IsNotKeptWaiting()
    {
        using var parts = new ForkJoinThreads(2);
        int inner = 0;
        parts.Run(_ => parts.Run(_ => Interlocked.Increment(ref inner)));
        Assert.Equal(4, inner);
    }

    [Fact]
    public void TheThreadsEnd_WithTheirOwner()
    {
        var threads = new System.Collections.Concurrent.ConcurrentBag<Thread>();
        using (var parts = new ForkJoinThreads(3))
        {
            using var all = new Barrier(3);
            parts.Run(_ =>
            {
                threads.Add(Thread.CurrentThread);
                all.SignalAndWait(TimeSpan.FromSeconds(30));
            });
        }

        Assert.Equal(3, threads.Distinct().Count());
        Assert.All(threads, thread => Assert.True(thread == Thread.CurrentThread || !thread.IsAlive));
    }
}
