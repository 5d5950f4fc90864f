using System.CommandLine;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>The flags that all client commands share, and what they make: a client and a printer.</summary>
internal sealed class ClientFlags
{
    public const string EndpointsVariable = "METASTORE_ENDPOINTS";

    private readonly ProgramIo _io;
    private readonly Option<string> _endpoints;
    private readonly DefaultedOption<OutputFormat> _format;
    private readonly DefaultedOption<TimeSpan> _timeout = Flags.Time("--command-timeout", "how long a request may take, its retries included", TimeSpan.FromSeconds(5));

    public ClientFlags(ProgramIo io)
    {
        _io = io;
        _endpoints = new Option<string>("--endpoints")
        {
            Description = $"the nodes to ask, as host:port with commas between [default: ${EndpointsVariable}, else 127.0.0.1:2379]",
            HelpName = "endpoints",
        };
        _format = Flags.Choice("--write-out", "how the answer is printed", ("simple", OutputFormat.Simple), ("json", OutputFormat.Json), ("fields", OutputFormat.Fields), ("table", OutputFormat.Table));
        _format.Aliases.Add("-w");
    }

    public ProgramIo Io => _io;

    public void AddTo(Command command, bool withFormat = true)
    {
        command.Options.Add(_endpoints);
        command.Options.Add(_timeout);
        if (withFormat)
        {
            command.Options.Add(_format);
        }
    }

    /// <summary>For a command that prints as the others do, and asks no node.</summary>
    public void AddFormatTo(Command command) => command.Options.Add(_format);

    public IReadOnlyList<string> Endpoints(ParseResult result)
    {
        string? flag = result.GetValue(_endpoints);
        string? variable = _io.Environment(EndpointsVariable);
        string text = flag ?? (string.IsNullOrWhiteSpace(variable) ? "127.0.0.1:2379" : variable);
        string[] endpoints = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return endpoints.Length > 0
            ? endpoints
            : throw new RefusalException(ExitCode.Usage, "--endpoints is empty; it should look like 127.0.0.1:2379 or n1:2379,n2:2379.");
    }

    public MetaStoreClient Connect(ParseResult result) => Connect(result, Endpoints(result));

    public MetaStoreClient Connect(ParseResult result, IReadOnlyList<string> endpoints, int connections = 1)
    {
        try
        {
            return MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = endpoints, RequestTimeout = _timeout.Read(result), ConnectionsPerEndpoint = connections });
        }
        catch (ArgumentException e)
        {
            throw new RefusalException(ExitCode.Usage, $"--endpoints: {e.Message}", e);
        }
    }

    public OutputFormat Format(ParseResult result) => _format.Read(result);

    /// <summary>Sends a request and prints its answer.</summary>
    public async Task<int> RunAsync(ParseResult result, Func<IMetaStore, IAnswerPrinter, Task> ask)
    {
        await using MetaStoreClient client = Connect(result);
        IAnswerPrinter printer = AnswerPrinter.Create(Format(result));
        await ask(client, printer);
        await _io.Output.WriteAsync(printer.Finish());
        await _io.Output.FlushAsync();
        return ExitCode.Success;
    }
}
