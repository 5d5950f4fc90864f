namespace MetaStore.Etcd.Http;

/// <summary>A feature of connections that have come in where only the pages are served: figures, health, version.</summary>
internal sealed class PagesOnly
{
    public static PagesOnly Instance { get; } = new();
}
