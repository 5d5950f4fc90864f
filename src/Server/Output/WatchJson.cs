using System.Text.Json;
using MetaStore.Engine;

namespace MetaStore.Server.Output;

/// <summary>A response of a watch as etcdctl 3.5 writes it: the fields of its client's own type, which are capital and always there.</summary>
internal static class WatchJson
{
    public static void Write(
        Utf8JsonWriter json, WatchResponse answer, Action<Utf8JsonWriter, ResponseHeader> writeHeader, Action<Utf8JsonWriter, KeyValue> writePair)
    {
        json.WriteStartObject();
        json.WritePropertyName("Header");
        writeHeader(json, answer.Header);
        if (answer.Events.Count == 0)
        {
            json.WriteNull("Events");
        }
        else
        {
            json.WriteStartArray("Events");
            foreach (WatchEvent e in answer.Events)
            {
                WriteEvent(json, e, writePair);
            }

            json.WriteEndArray();
        }

        json.WriteNumber("CompactRevision", 0);
        json.WriteBoolean("Canceled", false);
        json.WriteBoolean("Created", answer.IsCreated);
        json.WriteEndObject();
    }

    private static void WriteEvent(Utf8JsonWriter json, WatchEvent e, Action<Utf8JsonWriter, KeyValue> writePair)
    {
        json.WriteStartObject();
        if (e.Type == WatchEventType.Delete)
        {
            json.WriteNumber("type", (int)e.Type);
        }

        json.WritePropertyName("kv");
        writePair(json, e.KeyValue);
        if (e.Previous is { } previous)
        {
            json.WritePropertyName("prev_kv");
            writePair(json, previous);
        }

        json.WriteEndObject();
    }
}
