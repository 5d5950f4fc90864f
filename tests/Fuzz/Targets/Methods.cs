using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Messages.Health;
using MetaStore.Etcd.Messages.Locking;

namespace MetaStore.Fuzz.Targets;

/// <summary>A method of the protocol, with what its messages are.</summary>
internal sealed record Method(string Path, MessageDescriptor Request, MessageDescriptor Answer, bool HasManyRequests, bool HasManyAnswers);

/// <summary>All methods that the .proto files declare.</summary>
internal static class Methods
{
    public static readonly IReadOnlyList<Method> All =
    [
        .. new[] { RpcReflection.Descriptor, LockReflection.Descriptor, ElectionReflection.Descriptor, HealthReflection.Descriptor }
            .SelectMany(file => file.Services)
            .SelectMany(service => service.Methods.Select(method =>
                new Method($"/{service.FullName}/{method.Name}", method.InputType, method.OutputType, method.IsClientStreaming, method.IsServerStreaming))),
    ];

    public static Method At(int number) => All[number % All.Count];

    public static int NumberOf(string path) => All.Select((method, number) => (method, number)).First(pair => pair.method.Path == path).number;

    /// <summary>The same message, without fields that no release declares.</summary>
    public static IMessage Known(MessageDescriptor descriptor, ReadOnlySpan<byte> bytes) => descriptor.Parser.WithDiscardUnknownFields(true).ParseFrom(bytes);
}

/// <summary>Which fields a message has, and of what sizes: what makes it another than those before.</summary>
internal static class Skeleton
{
    private const int DepthMax = 4;
    private const int ItemsMax = 3;

    public static string Of(IMessage message) => Of(message, DepthMax);

    private static string Of(IMessage message, int depth)
    {
        var text = new System.Text.StringBuilder("{");
        foreach (FieldDescriptor field in message.Descriptor.Fields.InFieldNumberOrder())
        {
            object? value = field.Accessor.GetValue(message);
            if (field.IsRepeated)
            {
                var items = (System.Collections.IList)value;
                if (items.Count > 0)
                {
                    text.Append(field.FieldNumber).Append('*').Append(Running.Shape.Size(items.Count));
                    foreach (object item in items.Cast<object>().Take(ItemsMax))
                    {
                        text.Append(OfValue(item, depth));
                    }
                }
            }
            else if (value is not null && !(field.HasPresence && !field.Accessor.HasValue(message)) && !IsDefault(value))
            {
                text.Append(field.FieldNumber).Append(OfValue(value, depth));
            }
        }

        return text.Append('}').ToString();
    }

    private static bool IsDefault(object value) => value is ByteString { IsEmpty: true } or string { Length: 0 } or 0L or 0UL or 0 or 0U or false
        || (value is Enum choice && Convert.ToInt32(choice) == 0);

    private static string OfValue(object value, int depth) => value switch
    {
        IMessage inner => depth > 0 ? Of(inner, depth - 1) : "…",
        ByteString bytes => $"b{Running.Shape.Size(bytes.Length)}",
        string text => $"s{Running.Shape.Size(text.Length)}",
        long number => $"n{Size(number)}",
        ulong number => $"n{Size(unchecked((long)number))}",
        int or uint => "i",
        bool => "t",
        _ => $"e{Math.Clamp(Convert.ToInt32(value), -1, 9)}",
    };

    private static char Size(long number) => number is < 0 ? '-' : number <= 2 ? (char)('0' + number) : number < 1 << 20 ? 'k' : 'M';
}
