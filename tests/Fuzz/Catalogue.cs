using MetaStore.Fuzz.Running;
using MetaStore.Fuzz.Targets;

namespace MetaStore.Fuzz;

/// <summary>All targets.</summary>
internal static class Catalogue
{
    private static readonly Dictionary<string, Func<FuzzTarget>> s_all = new(StringComparer.Ordinal)
    {
        ["grpc-frames"] = () => new GrpcFrameTarget(),
        ["grpc-texts"] = () => new GrpcTextTarget(),
        ["grpc-calls"] = () => new GrpcCallTarget(),
        ["json"] = () => new JsonTarget(),
        ["json-calls"] = () => new GatewayCallTarget(),
        ["services"] = () => new ServicesTarget(),
        ["first-bytes"] = () => new FirstBytesTarget(),
        ["wire-frames"] = () => new WireFrameTarget(),
        ["wire-requests"] = () => new WireRequestTarget(),
        ["wire-answers"] = () => new WireAnswerTarget(),
        ["handshakes"] = () => new HandshakeTarget(),
        ["store-requests"] = () => new StoreRequestTarget(),
        ["peer-messages"] = () => new PeerMessageTarget(),
        ["log-damage"] = () => new LogDamageTarget(),
        ["log-records"] = () => new LogRecordTarget(),
        ["snapshot-files"] = () => new SnapshotFileTarget(),
        ["snapshot-contents"] = () => new SnapshotContentTarget(),
        ["directory-files"] = () => new DirectoryFileTarget(),
        ["configuration"] = () => new ConfigurationTarget(),
        ["arguments"] = () => new ArgumentTarget(),
        ["texts"] = () => new TextTarget(),
    };

    public static IReadOnlyCollection<string> Names => s_all.Keys;

    public static FuzzTarget Create(string name) => s_all[name]();
}
