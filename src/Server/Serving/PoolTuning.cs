namespace MetaStore.Server.Serving;

/// <summary>How the threads of the runtime's pool wait for work, where the processors are few.</summary>
internal static class PoolTuning
{
    /// <summary>The runtime's setting: how often a thread of the pool looks for work before it sleeps.</summary>
    public const string Setting = "System.Threading.ThreadPool.UnfairSemaphoreSpinLimit";

    /// <summary>The same as a variable of the environment.</summary>
    public const string Variable = "DOTNET_ThreadPool_UnfairSemaphoreSpinLimit";

    private const int FewProcessors = 2;

    /// <summary>
    /// Before the pool's first thread begins. Whoever spins on one of two processors keeps it from the loops, and from the clients that share the machine: under load that takes a fifth of what
    /// a request costs. What somebody has set stays.
    /// </summary>
    /// <param name="processors">Of this process.</param>
    /// <param name="variable">The environment.</param>
    public static void Apply(int processors, Func<string, string?> variable)
    {
        bool isSet = AppContext.GetData(Setting) is not null || variable(Variable) is not null;
        if (processors <= FewProcessors && !isSet)
        {
            AppContext.SetData(Setting, "0");
        }
    }
}
