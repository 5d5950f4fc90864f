using System.Security.Cryptography;

namespace MetaStore.Fuzz.Running;

/// <summary>The inputs that are kept in the tree: one folder for each target, one small file for each input, named after its content.</summary>
internal sealed class CorpusFolder(string root)
{
    private const string Suffix = ".bin";

    /// <summary>The one in the tree.</summary>
    public static CorpusFolder Kept { get; } = new(Path.Combine(Tree, "tests", "Fuzz", "Corpus"));

    /// <summary>Where runs leave what is not for the tree.</summary>
    public static string Artifacts => Path.Combine(Tree, "artifacts", "fuzz");

    private static string Tree
    {
        get
        {
            string? directory = AppContext.BaseDirectory;
            while (directory is not null && !File.Exists(Path.Combine(directory, "MetaStore.Engine.sln")))
            {
                directory = Path.GetDirectoryName(directory);
            }

            return directory ?? throw new InvalidOperationException("MetaStore.Engine.sln is in no folder above the program.");
        }
    }

    /// <summary>The inputs of a target with their files, in the order of their names.</summary>
    public IReadOnlyList<(string File, byte[] Input)> Read(string target)
    {
        string folder = Path.Combine(root, target);
        return Directory.Exists(folder)
            ? [.. Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal).Select(file => (file, File.ReadAllBytes(file)))]
            : [];
    }

    /// <summary>Keeps an input; the file that it is in.</summary>
    public string Keep(string target, byte[] input)
    {
        string folder = Directory.CreateDirectory(Path.Combine(root, target)).FullName;
        string file = Path.Combine(folder, NameOf(input) + Suffix);
        File.WriteAllBytes(file, input);
        return file;
    }

    public static string NameOf(byte[] input) => Convert.ToHexStringLower(SHA256.HashData(input).AsSpan(0, 6));
}
