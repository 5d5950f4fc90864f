using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Gateway;

/// <summary>
/// The messages of a request body of JSON: one, or any number behind each other. Names are taken as in the .proto file or in camel case, unknown ones are
/// passed over, as etcd does.
/// </summary>
internal sealed class JsonRequests(PipeReader body, ServedMethod served, MessageDescriptor descriptor, int messageBytesMax) : IRpcReader<IMessage>
{
    /// <summary>What JSON may take for a byte of a message: bytes take four thirds of themselves, text up to six times.</summary>
    private const int JsonBytesPerByte = 2;

    private static readonly JsonParser s_parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly long _jsonBytesMax = (long)messageBytesMax * JsonBytesPerByte;

    /// <summary>The only message. A body without any is an empty one.</summary>
    /// <exception cref="RpcException">The body is too large, or no JSON, or not of this message.</exception>
    public async ValueTask<IMessage> ReadOnlyOneAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken).ConfigureAwait(false);
            CheckLength(result.Buffer.Length);
            if (result.IsCompleted)
            {
                IMessage message = result.Buffer.IsEmpty ? served.Method.Parser.ParseFrom(ReadOnlySequence<byte>.Empty) : Parse(result.Buffer);
                body.AdvanceTo(result.Buffer.End);
                return message;
            }

            body.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IMessage?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            long length = MeasureValue(buffer, result.IsCompleted);
            CheckLength(length > 0 ? length : buffer.Length);
            if (length > 0)
            {
                ReadOnlySequence<byte> value = buffer.Slice(0, length);
                IMessage message = Parse(value);
                body.AdvanceTo(value.End);
                return message;
            }

            body.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                return null;
            }
        }
    }

    /// <summary>How many bytes the first value takes, with what is before it; 0 where it is not there as a whole.</summary>
    private static long MeasureValue(in ReadOnlySequence<byte> buffer, bool isAll)
    {
        var json = new Utf8JsonReader(buffer, isFinalBlock: false, state: new JsonReaderState(new JsonReaderOptions { AllowMultipleValues = true }));
        try
        {
            if (json.Read() && json.TrySkip())
            {
                return json.BytesConsumed;
            }
        }
        catch (JsonException e)
        {
            throw Refused(e);
        }

        bool isBlank = json.BytesConsumed == 0 && IsBlank(buffer);
        return isAll && !isBlank ? throw new RpcException(StatusCode.InvalidArgument, "unexpected EOF") : 0;
    }

    private static bool IsBlank(in ReadOnlySequence<byte> buffer)
    {
        foreach (ReadOnlyMemory<byte> piece in buffer)
        {
            if (piece.Span.ContainsAnyExcept(" \t\r\n"u8))
            {
                return false;
            }
        }

        return true;
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
            message = s_parser.Parse(s_strict.GetString(json), descriptor);
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
