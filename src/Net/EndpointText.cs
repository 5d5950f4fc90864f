using System.Globalization;
using System.Net;

namespace MetaStore.Net;

/// <summary>Endpoints as people write them.</summary>
internal static class EndpointText
{
    private const string Scheme = "http://";

    /// <summary>Reads "host:port", "http://host:port" or "[::1]:port".</summary>
    /// <exception cref="ArgumentException">The text is none of these.</exception>
    public static EndPoint Parse(string text)
    {
        string rest = text ?? throw new ArgumentException("An endpoint is null; it should look like \"127.0.0.1:2379\".");
        if (rest.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
        {
            throw new ArgumentException($"Endpoint \"{text}\" asks for TLS, which the binary protocol does not carry yet; use http:// or plain host:port.");
        }

        if (rest.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            rest = rest[Scheme.Length..].TrimEnd('/');
        }

        int colon = rest.LastIndexOf(':');
        string host = colon > 0 ? rest[..colon] : string.Empty;
        bool isBracketed = host.Length > 2 && host[0] == '[' && host[^1] == ']';
        if (host.Length == 0
            || (host.Contains(':') && !isBracketed)
            || !ushort.TryParse(rest.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            || port == 0)
        {
            throw new ArgumentException($"Endpoint \"{text}\" is not understood; it should look like \"host:2379\", \"http://host:2379\" or \"[::1]:2379\".");
        }

        host = isBracketed ? host[1..^1] : host;
        return IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port);
    }
}
