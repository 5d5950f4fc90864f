using System.Buffers;
using System.Collections;
using System.IO.Pipelines;
using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Gateway;

/// <summary>
/// Messages and errors as the JSON of etcd's gateway: fields by their names in the .proto file and left out where they have their default, numbers of 64 bits
/// as text, bytes in base 64, enums by name. The messages of etcd have no maps and no fractions, so there is no form for these.
/// </summary>
internal static class JsonAnswers
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>What a message of so many bytes takes in memory, with its JSON: bytes in base 64 are longer by a third.</summary>
    public static long HeldBytes(int length) => length + (4L * length / 3);

    /// <summary>An answer.</summary>
    public static void WriteMessage(IBufferWriter<byte> output, IMessage message)
    {
        using var json = new Utf8JsonWriter(output, s_options);
        Write(json, message);
    }

    /// <summary>An answer in parts: what the first has, and the list that goes on through all of them. Waits for a caller that does not read.</summary>
    public static async ValueTask WriteAsync(PipeWriter output, RpcAnswer answer, UnreadAnswers.Answer unread)
    {
        using var json = new Utf8JsonWriter(output, s_options);
        FieldDescriptor list = answer.First.Descriptor.Fields.InDeclarationOrder().Last(field => field.IsRepeated);
        json.WriteStartObject();
        foreach (FieldDescriptor field in answer.First.Descriptor.Fields.InDeclarationOrder().Where(field => field != list))
        {
            WriteField(json, field, answer.First);
        }

        json.WriteStartArray(list.Name);
        await WriteItemsAsync(answer.First).ConfigureAwait(false);
        await foreach (IMessage part in answer.Rest!.ConfigureAwait(false))
        {
            await WriteItemsAsync(part).ConfigureAwait(false);
        }

        json.WriteEndArray();
        json.WriteEndObject();

        async ValueTask WriteItemsAsync(IMessage part)
        {
            foreach (object item in (IList)list.Accessor.GetValue(part))
            {
                WriteValue(json, list, item);
            }

            json.Flush();
            await unread.FlushAsync(output, HeldBytes(part.CalculateSize())).ConfigureAwait(false);
        }
    }

    /// <summary>One answer of a stream, on a line of its own.</summary>
    public static void WriteResult(IBufferWriter<byte> output, IMessage message)
    {
        using (var json = new Utf8JsonWriter(output, s_options))
        {
            json.WriteStartObject();
            json.WritePropertyName("result");
            Write(json, message);
            json.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    /// <summary>A failure. <c>error</c> is what older clients read, the others what newer ones do.</summary>
    public static void WriteError(IBufferWriter<byte> output, StatusCode code, string message)
    {
        using var json = new Utf8JsonWriter(output, s_options);
        json.WriteStartObject();
        json.WriteString("error", message);
        json.WriteString("message", message);
        json.WriteNumber("code", (int)code);
        json.WriteEndObject();
    }

    /// <summary>The failure that ends a stream, on a line of its own. <c>code</c> is what newer clients read, the other numbers what older ones do.</summary>
    public static void WriteStreamError(IBufferWriter<byte> output, StatusCode code, string message)
    {
        using (var json = new Utf8JsonWriter(output, s_options))
        {
            json.WriteStartObject();
            json.WriteStartObject("error");
            json.WriteNumber("grpc_code", (int)code);
            json.WriteNumber("http_code", HttpStatus.Of(code));
            json.WriteString("message", message);
            json.WriteString("http_status", HttpStatus.Text(code));
            json.WriteNumber("code", (int)code);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    private static void Write(Utf8JsonWriter json, IMessage message)
    {
        json.WriteStartObject();
        foreach (FieldDescriptor field in message.Descriptor.Fields.InDeclarationOrder())
        {
            WriteField(json, field, message);
        }

        json.WriteEndObject();
    }

    private static void WriteField(Utf8JsonWriter json, FieldDescriptor field, IMessage message)
    {
        object? value = field.Accessor.GetValue(message);
        if (field.IsRepeated)
        {
            WriteList(json, field, (IList)value);
        }
        else if (field.HasPresence ? field.Accessor.HasValue(message) : !IsDefault(value))
        {
            json.WritePropertyName(field.Name);
            WriteValue(json, field, value);
        }
    }

    private static void WriteList(Utf8JsonWriter json, FieldDescriptor field, IList items)
    {
        if (items.Count == 0)
        {
            return;
        }

        json.WriteStartArray(field.Name);
        foreach (object item in items)
        {
            WriteValue(json, field, item);
        }

        json.WriteEndArray();
    }

    private static bool IsDefault(object? value) => value switch
    {
        null => true,
        bool truth => !truth,
        string text => text.Length == 0,
        ByteString bytes => bytes.IsEmpty,
        long number => number == 0,
        ulong number => number == 0,
        int number => number == 0,
        uint number => number == 0,
        Enum choice => Convert.ToInt32(choice) == 0,
        _ => false,
    };

    private static void WriteValue(Utf8JsonWriter json, FieldDescriptor field, object value)
    {
        switch (value)
        {
            case IMessage message:
                Write(json, message);
                break;
            case ByteString bytes:
                json.WriteBase64StringValue(bytes.Span);
                break;
            case string text:
                json.WriteStringValue(text);
                break;
            case bool truth:
                json.WriteBooleanValue(truth);
                break;
            case long number:
                json.WriteStringValue(number.ToString());
                break;
            case ulong number:
                json.WriteStringValue(number.ToString());
                break;
            case int number:
                json.WriteNumberValue(number);
                break;
            case uint number:
                json.WriteNumberValue(number);
                break;
            case Enum choice when field.EnumType.FindValueByNumber(Convert.ToInt32(choice)) is { } known:
                json.WriteStringValue(known.Name);
                break;
            case Enum choice:
                json.WriteNumberValue(Convert.ToInt32(choice));
                break;
            default:
                Invariant.Fail($"There is no form in JSON for {field.FullName}.");
                break;
        }
    }
}
