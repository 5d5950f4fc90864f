using System.Globalization;
using System.Net;

namespace MetaStore.Server.Serving;

/// <summary>An address as etcd's flags write it: http://host:port.</summary>
internal sealed record HttpUrl
{
    private const string Scheme = "http://";

    private HttpUrl(string host, int port)
    {
        Host = host;
        Port = port;
    }

    /// <summary>A name or an IP address; IPv6 without brackets.</summary>
    public string Host { get; }

    public int Port { get; }

    /// <summary>Reads the value of a flag that takes one or more, with commas between.</summary>
    /// <exception cref="RefusalException">It is none; the message names the flag and what would be right.</exception>
    public static IReadOnlyList<HttpUrl> ParseList(string flag, string text)
    {
        HttpUrl[] urls = [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(url => Parse(flag, url))];
        return urls.Length > 0 ? urls : throw new RefusalException(ExitCode.Usage, $"{flag} is empty; it should look like http://127.0.0.1:2379.");
    }

    /// <inheritdoc cref="ParseList"/>
    public static HttpUrl Parse(string flag, string text)
    {
        if (text.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
        {
            throw new RefusalException(ExitCode.Usage, $"{flag}: \"{text}\" asks for TLS, which this version does not have; use http://.");
        }

        string rest = text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? text[Scheme.Length..].TrimEnd('/') : string.Empty;
        int colon = rest.LastIndexOf(':');
        string host = colon > 0 ? rest[..colon] : string.Empty;
        bool isBracketed = host.Length > 2 && host[0] == '[' && host[^1] == ']';
        bool isHost = isBracketed
            ? IPAddress.TryParse(host[1..^1], out _)
            : host.Length > 0 && Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4;
        if (!isHost || !ushort.TryParse(rest.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            throw new RefusalException(ExitCode.Usage, $"{flag}: \"{text}\" is not understood; it should look like http://127.0.0.1:2379 or http://[::1]:2379.");
        }

        return new HttpUrl(isBracketed ? host[1..^1] : host, port);
    }

    /// <summary>The address to listen on: an IP address or localhost, as a name could mean many.</summary>
    /// <exception cref="RefusalException">It is a name.</exception>
    public IPEndPoint ToListenEndPoint(string flag)
    {
        if (string.Equals(Host, "localhost", StringComparison.OrdinalIgnoreCase))
        {
            return new IPEndPoint(IPAddress.Loopback, Port);
        }

        return IPAddress.TryParse(Host, out IPAddress? address)
            ? new IPEndPoint(address, Port)
            : throw new RefusalException(ExitCode.Usage, $"{flag}: \"{this}\" has a host name; to listen, give an IP address such as http://0.0.0.0:{Port}.");
    }

    /// <summary>The address to connect to.</summary>
    public EndPoint ToRemoteEndPoint() =>
        IPAddress.TryParse(Host, out IPAddress? address) ? new IPEndPoint(address, Port) : new DnsEndPoint(Host, Port);

    public override string ToString() => Host.Contains(':') ? $"{Scheme}[{Host}]:{Port}" : $"{Scheme}{Host}:{Port}";
}
