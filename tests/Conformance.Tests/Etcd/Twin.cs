using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>An answer, without what must differ.</summary>
internal sealed record Answer(string Status, string Output, string Errors)
{
    public bool Contains(string text) => Status == text || Output.Contains(text, StringComparison.Ordinal) || Errors.Contains(text, StringComparison.Ordinal);
}

/// <summary>One of the two that get the same requests: etcd, or this store.</summary>
internal sealed class Twin(string name, EtcdFlags flags) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });

    /// <summary>Members by what they are to a script: $L leads at its start, $F and $G follow.</summary>
    private readonly Dictionary<string, ulong> _members = [];

    public string Name => name;

    /// <summary>host:port of the member that led when the script began. HTTP goes there.</summary>
    public string Endpoint { get; private set; } = flags.Endpoints[0];

    /// <summary>Finds out who leads.</summary>
    public async Task LearnMembersAsync()
    {
        (_, string output, _) = await RunAsync("endpoint status -w json", string.Empty);
        using JsonDocument statuses = JsonDocument.Parse(output);
        ulong[] ids = [.. statuses.RootElement.EnumerateArray().Select(member => member.GetProperty("Status").GetProperty("header").GetProperty("member_id").GetUInt64())];
        ulong leader = statuses.RootElement[0].GetProperty("Status").GetProperty("leader").GetUInt64();
        _members["L"] = leader;
        Endpoint = flags.Endpoints[Array.IndexOf(ids, leader)];
        foreach ((ulong id, string role) in ids.Where(id => id != leader).Zip(["F", "G"]))
        {
            _members[role] = id;
        }
    }

    public async Task<Answer> AskAsync(ScriptStep step)
    {
        Answer answer = step.Command.Contains(" /", StringComparison.Ordinal) && char.IsAsciiLetterUpper(step.Command[0])
            ? await AskOverHttpAsync(step.Command, step.Input)
            : await AskEtcdctlAsync(step.Command, step.Input);
        return new Answer(answer.Status, TwinText.Allowing(answer.Output, step.License), TwinText.Allowing(answer.Errors, step.License));
    }

    /// <summary>Starts a command of etcdctl that goes on until it is stopped.</summary>
    public ChildProcess Start(string command) => ChildProcess.Start(Arguments(command), outputEncoding: Encoding.Latin1);

    /// <summary>Takes out who answered, and when.</summary>
    public string Normalize(string text)
    {
        foreach ((string role, ulong id) in _members)
        {
            text = text.Replace(id.ToString("x", CultureInfo.InvariantCulture), $"<{role}>", StringComparison.Ordinal)
                .Replace(id.ToString(CultureInfo.InvariantCulture), $"<{role}>", StringComparison.Ordinal);
        }

        text = flags.Endpoints.Aggregate(text, (all, endpoint) => all.Replace(endpoint, "<client>", StringComparison.Ordinal));
        text = flags.PeerEndpoints.Aggregate(text, (all, endpoint) => all.Replace(endpoint, "<peer>", StringComparison.Ordinal));
        return TwinText.WithoutChance(text);
    }

    public async Task<(int ExitCode, string Output, string Errors)> RunAsync(string command, string input) =>
        await ChildProcess.RunAsync(Arguments(command), Encoding.UTF8.GetBytes(input), outputEncoding: Encoding.Latin1);

    public void Dispose() => _http.Dispose();

    private async Task<Answer> AskEtcdctlAsync(string command, string input)
    {
        (int exitCode, string output, string errors) = await RunAsync(command, input);
        output = command.EndsWith("-w protobuf", StringComparison.Ordinal) ? ProtobufText.Of(output) : Normalize(output);
        return new Answer($"exit code {exitCode}", output, Normalize(errors));
    }

    private async Task<Answer> AskOverHttpAsync(string command, string input)
    {
        string[] parts = command.Split(' ', 3);
        using var request = new HttpRequestMessage(new HttpMethod(parts[0]), $"http://{Endpoint}{parts[1]}");
        string body = (parts.Length > 2 ? parts[2] : string.Empty) + input;
        body = _members.Aggregate(body, (all, member) => all.Replace("$" + member.Key, member.Value.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
        if (body.Length > 0)
        {
            request.Content = new StringContent(body, MediaTypeHeaderValue.Parse("application/json"));
        }

        using HttpResponseMessage answer = await _http.SendAsync(request);
        return new Answer($"HTTP {(int)answer.StatusCode}", Normalize(await answer.Content.ReadAsStringAsync()), answer.Content.Headers.ContentType?.ToString() ?? string.Empty);
    }

    private string[] Arguments(string command)
    {
        foreach ((string role, ulong id) in _members)
        {
            command = command.Replace("$" + role, id.ToString("x", CultureInfo.InvariantCulture), StringComparison.Ordinal);
        }

        IEnumerable<string> words = TwinText.Words(command);
        return ["etcdctl", "--endpoints", string.Join(',', flags.Endpoints.Select(endpoint => $"http://{endpoint}")), .. words];
    }
}
