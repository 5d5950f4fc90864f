using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace MetaStore.Fuzz.Targets;

/// <summary>A request and its answer as the fronts see them, without a server: all that is read is there at once.</summary>
internal sealed class Exchange : IRequestBodyPipeFeature, IHttpResponseTrailersFeature, IHttpMinRequestBodyDataRateFeature, IHttpRequestLifetimeFeature
{
    private readonly MemoryStream _answer = new();
    private readonly BegunResponse _response = new();

    public Exchange(PipeReader? body = null)
    {
        Reader = body ?? Running.Pieces.Body(ReadOnlyMemory<byte>.Empty, 0);
        Features.Set<IHttpRequestFeature>(Request);
        Features.Set<IHttpResponseFeature>(_response);
        Features.Set<IHttpResponseBodyFeature>(new BegunBody(_answer, _response));
        Features.Set<IRequestBodyPipeFeature>(this);
        Features.Set<IHttpResponseTrailersFeature>(this);
        Features.Set<IHttpMinRequestBodyDataRateFeature>(this);
        Features.Set<IHttpRequestLifetimeFeature>(this);
    }

    public FeatureCollection Features { get; } = new();

    public HttpRequestFeature Request { get; } = new() { Method = "POST", Protocol = "HTTP/2" };

    public PipeReader Reader { get; }

    public IHeaderDictionary Trailers { get; set; } = new HeaderDictionary();

    public MinDataRate? MinDataRate { get; set; }

    public CancellationToken RequestAborted { get; set; }

    public int Status => _response.StatusCode;

    public IHeaderDictionary Headers => _response.Headers;

    /// <summary>What was answered; once the one who answers has ended.</summary>
    public byte[] Answer
    {
        get
        {
            Features.GetRequiredFeature<IHttpResponseBodyFeature>().Writer.FlushAsync(CancellationToken.None).AsTask().GetAwaiter().GetResult();
            return _answer.ToArray();
        }
    }

    public void Abort()
    {
        // Nobody is there to be told.
    }

    private sealed class BegunResponse : HttpResponseFeature
    {
        public bool HasBegun { get; set; }

        public override bool HasStarted => HasBegun;
    }

    private sealed class BegunBody(Stream answer, BegunResponse response) : StreamResponseBodyFeature(answer)
    {
        public override Task StartAsync(CancellationToken cancellationToken = default)
        {
            response.HasBegun = true;
            return base.StartAsync(cancellationToken);
        }
    }
}

/// <summary>What the fronts log as unexpected is a finding.</summary>
internal sealed class FindingLogger : ILogger
{
    private string? _finding;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            _finding ??= $"{formatter(state, exception)} {exception}";
        }
    }

    /// <exception cref="Running.FuzzFailure">Something was logged since the last time.</exception>
    public void ThrowIfAny()
    {
        string? finding = _finding;
        _finding = null;
        Running.FuzzFailure.Unless(finding is null, finding ?? string.Empty);
    }
}
