using System.Globalization;
using System.Text.RegularExpressions;
using MetaStore.Server.CommandLine;

namespace MetaStore.Server.Etcd;

/// <summary>
/// Lets the program be started as etcd is: without the word "serve", with one dash in place of two, by <c>ETCD_*</c> variables, by etcd's configuration file. What comes out is the command line that
/// says the same, and what of it has no effect.
/// </summary>
/// <param name="Arguments">The command line.</param>
/// <param name="Notes">What is accepted and has no effect, a line each.</param>
internal sealed record EtcdArguments(IReadOnlyList<string> Arguments, IReadOnlyList<string> Notes)
{
    private const string Serve = "serve";
    private const string ConfigFileFlag = "config-file";
    private const string DataDirectoryFlag = "data-dir";
    private const string NameFlag = "name";
    private const string Prefix = "ETCD_";

    /// <summary>Variables of etcd that are no flags, and one that images carry and etcd passes over.</summary>
    private static readonly string[] s_otherVariables = ["ETCD_UNSUPPORTED_ARCH", "ETCD_VERIFY", "ETCD_CONFIG_FILE", "ETCD_VERSION"];

    /// <summary>
    /// What Kubernetes (and linked containers) put into the environment of every container beside a service whose name begins with "etcd": where it is to be found. Nobody has set them.
    /// </summary>
    private static readonly Regex s_serviceVariable = new(
        "^ETCD_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$",
        RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking,
        TimeSpan.FromSeconds(1));

    /// <summary>Reads what was given. A command line other than that of a server stays as it is.</summary>
    /// <exception cref="RefusalException">There is no such flag, or it would be wrong to pass over it; the message names it and what would be right.</exception>
    public static EtcdArguments Read(IReadOnlyList<string> arguments, ProgramIo io)
    {
        string[] variables =
        [
            .. io.VariableNames
                .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal) && !s_otherVariables.Contains(name) && !s_serviceVariable.IsMatch(name))
                .Order(StringComparer.Ordinal),
        ];
        string? fileOfVariable = io.Environment(Prefix + "CONFIG_FILE");
        bool isServe = arguments.Count == 0 || arguments[0] == Serve || IsServerFlag(arguments[0]);
        if (!isServe)
        {
            return new EtcdArguments(arguments, []);
        }

        bool isOwnWord = arguments.Count > 0 && arguments[0] == Serve;
        var settings = new Settings();
        settings.AddCommandLine(isOwnWord ? arguments.Skip(1) : arguments);
        string? file = settings.ConfigFile ?? fileOfVariable;
        if (!string.IsNullOrEmpty(file))
        {
            // As in etcd: beside a file no other flag or variable of etcd counts. The program's own, which the file cannot name, do.
            var ofFile = new Settings();
            ofFile.AddFile(file);
            ofFile.AddBeside(settings, file, variables);
            return ofFile.Result(isOwnWord);
        }

        foreach (string variable in variables)
        {
            settings.AddVariable(variable, FlagOf(variable), io.Environment(variable) ?? string.Empty);
        }

        return settings.Result(isOwnWord);
    }

    private static string FlagOf(string variable) => variable[Prefix.Length..].ToLowerInvariant().Replace('_', '-');

    /// <summary>As etcd is started: its first word is a flag. The program's own, which ask for nothing but words, are not meant.</summary>
    private static bool IsServerFlag(string argument) =>
        argument.StartsWith('-') && NameOf(argument) is var name && (name == ConfigFileFlag || EtcdFlag.All.ContainsKey(name));

    private static string NameOf(string argument) => argument.TrimStart('-').Split('=')[0];

    /// <summary>The flags as they add up. The command line first: what it has, nothing else changes.</summary>
    private sealed class Settings
    {
        private readonly List<string> _arguments = [Serve];
        private readonly List<string> _own = [];
        private readonly HashSet<string> _given = new(StringComparer.Ordinal);
        private readonly List<string> _notes = [];
        private string _name = "default";

        public string? ConfigFile { get; private set; }

        /// <summary>Whoever starts the program as etcd is started has a volume where etcd keeps its data, if it is told of no directory.</summary>
        public EtcdArguments Result(bool isOwnWord)
        {
            if (!isOwnWord && !_given.Contains(DataDirectoryFlag))
            {
                _arguments.AddRange([$"--{DataDirectoryFlag}", $"{_name}.etcd"]);
            }

            return new EtcdArguments(_arguments, _notes);
        }

        public void AddCommandLine(IEnumerable<string> words)
        {
            string[] all = [.. words];
            for (int i = 0; i < all.Length; i++)
            {
                string name = NameOf(all[i]);
                bool isOfEtcd = all[i].StartsWith('-') && (name == ConfigFileFlag || EtcdFlag.All.ContainsKey(name));
                if (!isOfEtcd)
                {
                    // The program's own flags, and whatever is wrong, are the parser's to judge.
                    _arguments.Add(all[i]);
                    _own.Add(all[i]);
                    continue;
                }

                bool hasOwnValue = all[i].Contains('=', StringComparison.Ordinal);
                bool isFollowed = !hasOwnValue && i + 1 < all.Length && !all[i + 1].StartsWith('-');
                string value = hasOwnValue ? all[i][(all[i].IndexOf('=', StringComparison.Ordinal) + 1)..] : isFollowed ? all[++i] : string.Empty;
                if (name == ConfigFileFlag)
                {
                    ConfigFile = value;
                }
                else
                {
                    Add($"--{name}", name, value, hasValue: hasOwnValue || isFollowed);
                }
            }
        }

        public void AddVariable(string variable, string name, string value)
        {
            if (!EtcdFlag.All.ContainsKey(name))
            {
                throw new RefusalException(ExitCode.Usage, $"{variable} is no variable of a server.{ParseErrorText.Suggest(EtcdFlag.All.Keys.Select(VariableOf), variable)}");
            }

            if (value.Length > 0 && !_given.Contains(name)) // As in etcd: an empty one is none.
            {
                Add(variable, name, value, hasValue: true);
            }
        }

        public void AddFile(string path)
        {
            foreach ((string name, string value) in EtcdConfigurationFile.Read(path))
            {
                if (!EtcdFlag.All.TryGetValue(name, out EtcdFlag? flag))
                {
                    throw new RefusalException(ExitCode.Usage, $"{path}: \"{name}\" is no setting of a server.{ParseErrorText.Suggest(EtcdFlag.All.Keys, name)}");
                }

                bool isNumber = value.All(char.IsAsciiDigit);
                Add($"{path}: {name}", name, flag.IsNanosecondsInFile && isNumber ? $"{value}ns" : value, hasValue: true);
            }
        }

        /// <summary>Takes over what else the command line has; says what does not count beside the file.</summary>
        public void AddBeside(Settings commandLine, string path, IEnumerable<string> variables)
        {
            _arguments.AddRange(commandLine._own);
            IEnumerable<string> passedOver = commandLine._given.Select(name => $"--{name}").Order(StringComparer.Ordinal).Concat(variables);
            _notes.AddRange(passedOver.Select(name => $"{name} has no effect beside the configuration file {path}"));
        }

        private static string VariableOf(string name) => Prefix + name.ToUpperInvariant().Replace('-', '_');

        private void Add(string source, string name, string value, bool hasValue)
        {
            EtcdFlag flag = EtcdFlag.All[name];
            bool isOff = value is "" or "false" or "off" or "0";
            _given.Add(name);
            _name = name == NameFlag && value.Length > 0 ? value : _name;
            switch (flag.Use)
            {
                case EtcdFlagUse.Taken:
                    _arguments.Add($"--{flag.TakenAs}");
                    if (hasValue)
                    {
                        _arguments.Add(Bounded(flag, source, value));
                    }

                    break;
                case EtcdFlagUse.IgnoredWhereOn when hasValue && isOff:
                    break;
                case EtcdFlagUse.Ignored or EtcdFlagUse.IgnoredWhereOn:
                    _notes.Add($"{source} is accepted and has no effect: {flag.Why}");
                    break;
                case EtcdFlagUse.Refused when !(hasValue && isOff):
                    throw new RefusalException(ExitCode.Usage, $"{source} cannot be had: {flag.Why}.");
                default:
                    break; // It is switched off, as it is anyway.
            }
        }

        /// <summary>What is no number is the parser's to judge.</summary>
        private string Bounded(EtcdFlag flag, string source, string value)
        {
            if (flag.Most is not { } most || !ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) || number <= most)
            {
                return value;
            }

            _notes.Add(string.Create(CultureInfo.InvariantCulture, $"{source} is {number} and is taken as {most}: there cannot be more here"));
            return most.ToString(CultureInfo.InvariantCulture);
        }
    }
}
