using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Messages;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>
/// What "etcdctl -w protobuf" prints, without what must differ. All messages of etcd begin with a header, so the rest is compared as bytes.
/// </summary>
internal static class ProtobufText
{
    /// <summary>A header alone, which is all that etcdctl prints of some answers.</summary>
    private const uint ClusterTag = (1 << 3) | (uint)WireFormat.WireType.Varint;

    private const uint HeaderTag = (1 << 3) | (uint)WireFormat.WireType.LengthDelimited;

    /// <param name="output">Standard output, a character for each byte.</param>
    public static string Of(string output)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(output);
        switch (bytes is [] ? 0u : bytes[0])
        {
            case HeaderTag:
                using (var input = new CodedInputStream(bytes))
                {
                    input.ReadTag();
                    string revision = Of(ResponseHeader.Parser.ParseFrom(input.ReadBytes()));
                    return $"{revision}, {Convert.ToHexString(bytes.AsSpan((int)input.Position))}";
                }

            case ClusterTag:
                return Of(ResponseHeader.Parser.ParseFrom(bytes));
            default:
                return output; // words
        }
    }

    private static string Of(ResponseHeader header)
    {
        Assert.True(header is { ClusterId: not 0, MemberId: not 0, RaftTerm: not 0 }, $"{header} does not say who answered");
        return $"revision {header.Revision}";
    }
}
