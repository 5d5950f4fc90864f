using System.Reflection;

namespace MetaStore.Simulation;

/// <summary>What was built: the commit that the build stamped into the assembly.</summary>
internal static class BuildInfo
{
    public static string Commit { get; } =
        typeof(BuildInfo).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
