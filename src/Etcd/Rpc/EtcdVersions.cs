namespace MetaStore.Etcd.Rpc;

/// <summary>The releases of etcd that the server and the cluster stand for; clients decide by them what they may ask for.</summary>
internal sealed record EtcdVersions(string Server, string Cluster);
