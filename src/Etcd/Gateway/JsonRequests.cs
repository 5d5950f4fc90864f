using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Gateway;

/// <summary>
/// The messages of a request body of JSON: one, or any number behind each other. Names are taken as in the .proto file or in camel case, unknown ones are
/// passed over, as etcd does. A null is an empty message.
/// </summary>
internal sealed class JsonRequests(PipeReader body, ServedMethod served, MessageDescriptor descriptor, int messageBytesMax) : IRpcReader<IMessage>
{
    /// <summary>What JSON may take for a byte of a message: bytes take four thirds of themselves, text up to six times.</summary>
    private const int JsonBytesPerByte = 2;

    private const string Blanks = " \t\r\n";

    private static readonly JsonParser s_parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly long _jsonBytesMax = (long)messageBytesMax * JsonBytesPerByte;
    private readonly JsonBoundary _boundary = new();

    /// <summary>The only message. A body without any is an empty one.</summary>
    /// <exception cref="RpcException">The body is too large, or no JSON, or not of this message.</exception>
    public async ValueTask<IMessage> ReadOnlyOneAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            try
            {
                CheckLength(buffer.Length);
                if (result.IsCompleted)
                {
                    _boundary.Measure(buffer); // where it ends is the parser's to say: nothing may be behind it
                    return buffer.IsEmpty ? served.Method.Parser.ParseFrom(buffer) : Parse(buffer);
                }
            }
            finally
            {
                // Also where it fails: the server reads what is left of the body.
                body.AdvanceTo(buffer.Start, buffer.End);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IMessage?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            SequencePosition consumed = buffer.Start;
            SequencePosition examined = buffer.End;
            try
            {
                long length = _boundary.Measure(buffer);
                CheckLength(length > 0 ? length : buffer.Length);
                if (length > 0)
                {
                    ReadOnlySequence<byte> value = buffer.Slice(0, length);
                    (consumed, examined) = (value.End, value.End);
                    return Parse(value);
                }
            }
            finally
            {
                body.AdvanceTo(consumed, examined);
            }

            if (result.IsCompleted)
            {
                return _boundary.HasBegun ? throw new RpcException(StatusCode.InvalidArgument, "unexpected EOF") : null;
            }
        }
    }

    private static RpcException Refused(Exception e) => new(StatusCode.InvalidArgument, e.Message);

    private void CheckLength(long length)
    {
        if (length > _jsonBytesMax)
        {
            throw new RpcException(StatusCode.ResourceExhausted, $"the request's JSON takes more than {_jsonBytesMax} bytes");
        }
    }

    private IMessage Parse(in ReadOnlySequence<byte> json)
    {
        IMessage message;
        try
        {
            string text = s_strict.GetString(json);
            message = text.AsSpan().Trim(Blanks) is "null" ? served.Method.Parser.ParseFrom(ReadOnlySequence<byte>.Empty) : s_parser.Parse(JsonNumbers.QuoteLong(text), descriptor);
        }
        catch (DecoderFallbackException)
        {
            throw new RpcException(StatusCode.InvalidArgument, "the request's JSON is not valid UTF-8");
        }
        catch (Exception e) when (e is InvalidJsonException or InvalidProtocolBufferException or ArgumentException or FormatException or OverflowException)
        {
            throw Refused(e);
        }

        int length = message.CalculateSize();
        served.Counters.CountReceived(length);
        return length <= messageBytesMax
            ? message
            : throw new RpcException(StatusCode.ResourceExhausted, $"grpc: received message larger than max ({length} vs. {messageBytesMax})");
    }
}
