namespace MetaStore.Conformance.Tests;

/// <summary>
/// What a test needs of the machine. Where it is missing the test is skipped, with the package named; with METASTORE_REQUIRE_ALL=1 it fails, so
/// that a machine meant to run everything cannot run half of it unnoticed.
/// </summary>
internal static class Requires
{
    public static void Program(string program, string package)
    {
        bool isThere = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, program)));
        That(isThere, $"{program} is missing: apt-get install {package}");
    }

    public static void That(bool condition, string missing)
    {
        if (Environment.GetEnvironmentVariable("METASTORE_REQUIRE_ALL") == "1")
        {
            Assert.True(condition, missing);
        }

        Skip.IfNot(condition, missing);
    }
}
