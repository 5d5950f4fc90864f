namespace MetaStore.Testing.Processes;

/// <summary>
/// Where the built program is. A test project that references src/Server gets program and dependencies copied beside its own assembly, of the
/// same configuration; the apphost may be missing where it was built without one, the assembly never.
/// </summary>
public static class ProgramPath
{
    /// <summary>File name and leading arguments that start it.</summary>
    public static IReadOnlyList<string> Find()
    {
        string folder = AppContext.BaseDirectory;
        string program = Path.Combine(folder, OperatingSystem.IsWindows() ? "metastore.exe" : "metastore");
        if (File.Exists(program))
        {
            return [program];
        }

        string assembly = Path.Combine(folder, "metastore.dll");
        return File.Exists(assembly)
            ? ["dotnet", assembly]
            : throw new FileNotFoundException($"Neither {program} nor {assembly} is there; the test project must reference src/Server.");
    }
}
