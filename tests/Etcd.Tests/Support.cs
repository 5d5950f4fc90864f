namespace MetaStore.Etcd.Tests;

/// <summary>What many tests need.</summary>
internal static class Support
{
    /// <summary>No test waits longer for anything that must happen.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Waits until the condition holds, looking again and again.</summary>
    public static async Task Until(Func<bool> condition, string what)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
        {
            Assert.False(patience.IsCancellationRequested, $"It never came about that {what}.");
            await Task.Delay(1);
        }
    }
}
