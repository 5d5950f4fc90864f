using System.Buffers;
using System.Text;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Grpc;

/// <summary>A status as the headers <c>grpc-status</c> and <c>grpc-message</c> have it.</summary>
internal static class GrpcStatusText
{
    /// <summary>What goes into the header as it is: printable ASCII but the percent sign.</summary>
    private static readonly SearchValues<char> s_plain = SearchValues.Create([.. Enumerable.Range(' ', '~' - ' ' + 1).Select(code => (char)code).Where(c => c != '%')]);

    private static readonly string[] s_numbers = [.. Enumerable.Range(0, (int)StatusCode.Unauthenticated + 1).Select(number => number.ToString())];

    /// <summary>The number of the code.</summary>
    public static string Number(StatusCode code) => s_numbers[(int)code];

    /// <summary>The message, with all but printable ASCII as the percent-encoded bytes of its UTF-8.</summary>
    public static string Encode(string message)
    {
        if (!message.AsSpan().ContainsAnyExcept(s_plain))
        {
            return message;
        }

        var encoded = new StringBuilder(message.Length + 16);
        foreach (byte value in Encoding.UTF8.GetBytes(message))
        {
            if (s_plain.Contains((char)value))
            {
                encoded.Append((char)value);
            }
            else
            {
                encoded.Append('%').Append(value.ToString("X2"));
            }
        }

        return encoded.ToString();
    }
}
