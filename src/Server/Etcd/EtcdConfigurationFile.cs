using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace MetaStore.Server.Etcd;

/// <summary>etcd's configuration file: YAML (or JSON, which is YAML) with the flags' names, and TLS settings in groups of their own.</summary>
internal static class EtcdConfigurationFile
{
    private const int BytesMax = 1 << 20;

    /// <summary>Stream, document, settings, a group, a list in it; and some room for what is refused by its own name.</summary>
    private const int DepthMax = 10;

    /// <summary>A group that would ask for what is not there: it is one setting, whatever it has.</summary>
    private const string Discovery = "discovery-config";

    /// <summary>What stands before a setting of a group to make it a flag.</summary>
    private static readonly Dictionary<string, string> s_groups = new(StringComparer.Ordinal)
    {
        ["client-transport-security"] = string.Empty,
        ["peer-transport-security"] = "peer-",
        ["socket-options"] = "socket-",
    };

    /// <summary>Settings of a group that are called otherwise as flags; the first has no flag in etcd, and gets the name that goes with the others.</summary>
    private static readonly Dictionary<(string Group, string Name), string> s_renamed = new()
    {
        [("client-transport-security", "allowed-cn")] = "client-cert-allowed-cn",
        [("client-transport-security", "allowed-hostname")] = "client-cert-allowed-hostname",
        [("peer-transport-security", "allowed-cn")] = "peer-cert-allowed-cn",
        [("peer-transport-security", "allowed-hostname")] = "peer-cert-allowed-hostname",
    };

    /// <summary>The settings that are there, in order.</summary>
    /// <exception cref="RefusalException">The file cannot be read, or is no such file; the message says where.</exception>
    public static IReadOnlyList<(string Name, string Value)> Read(string path)
    {
        try
        {
            long length = new FileInfo(path).Length;
            return length <= BytesMax
                ? Read(path, File.ReadAllText(path))
                : throw new RefusalException(ExitCode.Usage, $"--config-file: {path} has {length} bytes; a configuration has at most {BytesMax}.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException(ExitCode.Usage, $"--config-file: {e.Message}");
        }
    }

    /// <summary>The same, of the file's text.</summary>
    public static IReadOnlyList<(string Name, string Value)> Read(string path, string text)
    {
        try
        {
            CheckDepth(path, text);
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            return yaml.Documents.Count == 0 ? [] : [.. Settings(path, yaml.Documents[0].RootNode, group: null)];
        }
        catch (YamlException e)
        {
            throw new RefusalException(ExitCode.Usage, string.Create(CultureInfo.InvariantCulture, $"{path}, line {e.Start.Line}: {e.Message}"));
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or FormatException or OverflowException or IndexOutOfRangeException or KeyNotFoundException)
        {
            // The reader of YAML ends so where a text breaks off in places that it did not foresee.
            throw new RefusalException(ExitCode.Usage, $"{path}: this is no YAML; settings look like \"name: value\", one a line.", e);
        }
    }

    /// <summary>The reader of YAML calls itself for each level, so that a file of nothing but brackets would end the process.</summary>
    private static void CheckDepth(string path, string text)
    {
        var parser = new Parser(new StringReader(text));
        for (int depth = 0; parser.MoveNext(); depth += parser.Current!.NestingIncrease)
        {
            if (depth > DepthMax)
            {
                throw new RefusalException(
                    ExitCode.Usage, string.Create(CultureInfo.InvariantCulture, $"{path}, line {parser.Current!.Start.Line}: settings are nested more than {DepthMax} deep; groups hold no groups."));
            }
        }
    }

    private static IEnumerable<(string Name, string Value)> Settings(string path, YamlNode root, string? group)
    {
        if (root is not YamlMappingNode mapping)
        {
            throw new RefusalException(ExitCode.Usage, $"{path}, line {root.Start.Line}: there must be settings, as \"name: value\".");
        }

        foreach ((YamlNode key, YamlNode value) in mapping.Children)
        {
            string name = (key as YamlScalarNode)?.Value ?? string.Empty;
            switch (value)
            {
                case YamlScalarNode scalar:
                    if (!string.IsNullOrEmpty(scalar.Value) && scalar.Value != "null")
                    {
                        yield return (FlagOf(group, name), scalar.Value);
                    }

                    break;
                case YamlSequenceNode list:
                    yield return (FlagOf(group, name), string.Join(',', list.Children.OfType<YamlScalarNode>().Select(item => item.Value)));
                    break;
                case YamlMappingNode when group is null && name == Discovery:
                    yield return (name, "a group");
                    break;
                case YamlMappingNode settings when group is null && s_groups.ContainsKey(name):
                    foreach ((string Name, string Value) setting in Settings(path, settings, name))
                    {
                        yield return setting;
                    }

                    break;
                default:
                    throw new RefusalException(ExitCode.Usage, $"{path}, line {value.Start.Line}: \"{name}\" is no group of settings; there are {string.Join(", ", s_groups.Keys)}.");
            }
        }
    }

    private static string FlagOf(string? group, string name) =>
        group is null ? name : s_renamed.TryGetValue((group, name), out string? renamed) ? renamed : s_groups[group] + name;
}
