using System.Text;

namespace MetaStore.Etcd.Http;

/// <summary>
/// Reads any bytes as nothing: the encoding of <c>:authority</c>. Clients of etcd write there what is no host (<c>http://10.0.0.1:2379</c>, <c>#initially=[…]</c>), for
/// which the server of HTTP would reset the stream; and nobody here asks what host a caller thinks it speaks to.
/// </summary>
internal sealed class UnreadEncoding : Encoding
{
    /// <summary>The header that is read so.</summary>
    public const string Header = ":authority";

    private UnreadEncoding()
    {
    }

    public static UnreadEncoding Instance { get; } = new();

    public override int GetByteCount(char[] chars, int index, int count) => 0;

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) => 0;

    public override int GetCharCount(byte[] bytes, int index, int count) => 0;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex) => 0;

    public override int GetMaxByteCount(int charCount) => 0;

    public override int GetMaxCharCount(int byteCount) => 0;
}
