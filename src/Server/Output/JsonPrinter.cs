using System.Text.Encodings.Web;
using System.Text.Json;
using MetaStore.Engine;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Server.Output;

/// <summary>
/// The JSON of etcdctl 3.5: field names of the protocol, numbers as numbers, keys and values in base64, zero and empty fields left out. One
/// answer is one line.
/// </summary>
internal sealed class JsonPrinter : IAnswerPrinter
{
    private readonly ByteText _text = new();

    public void Put(PutResponse answer) => Line(json => WritePut(json, answer));

    public void Get(RangeResponse answer, GetView view) => Line(json => WriteRange(json, answer));

    public void Delete(DeleteRangeResponse answer) => Line(json => WriteDelete(json, answer));

    public void Txn(TxnResponse answer) => Line(json => WriteTxn(json, answer));

    public void Compact(Revision revision, CompactResponse answer) => Line(json =>
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        json.WriteEndObject();
    });

    public void Watch(WatchResponse answer) => Line(json => WatchJson.Write(json, answer, WriteHeaderObject, WritePair));

    public void Status(IReadOnlyList<EndpointAnswer<StatusResponse>> answers) => Line(json => WriteEach(json, answers, "Status", WriteStatus));

    public void Hash(IReadOnlyList<EndpointAnswer<HashResponse>> answers) => Line(json => WriteEach(json, answers, "HashKV", WriteHash));

    public void EndpointHealth(IReadOnlyList<EndpointHealth> answers) => Line(json =>
    {
        json.WriteStartArray();
        foreach (EndpointHealth health in answers)
        {
            json.WriteStartObject();
            json.WriteString("endpoint", health.Endpoint);
            json.WriteBoolean("health", health.Error is null);
            json.WriteString("took", GoText.Duration(health.Took));
            if (health.Error is not null)
            {
                json.WriteString("error", health.Error);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public void EndpointStatus(IReadOnlyList<EndpointAnswer<StatusResponse>> answers) => Status(answers);

    public void EndpointHash(IReadOnlyList<EndpointAnswer<HashResponse>> answers) => Hash(answers);

    public void SnapshotStatus(SavedSnapshot snapshot) => Line(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("hash", snapshot.Hash);
        json.WriteNumber("revision", snapshot.Revision.Value);
        json.WriteNumber("totalKey", snapshot.KeyCount);
        json.WriteNumber("totalSize", snapshot.FileBytes);
        json.WriteEndObject();
    });

    public void Members(MembersResponse answer) => Line(json => WriteMembers(json, answer));

    public void MemberChanged(string done, MembersResponse answer) => Line(json => WriteMembers(json, answer));

    public void LeaseGranted(LeaseGrantResponse answer) => Line(json => WriteLease(json, answer.Header, answer.Id, answer.Ttl));

    public void LeaseRevoked(long id, LeaseRevokeResponse answer) => Line(json =>
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        json.WriteEndObject();
    });

    public void LeaseKeptAlive(LeaseKeepAliveResponse answer) => Line(json => WriteLease(json, answer.Header, answer.Id, answer.Ttl));

    public void LeaseTimeToLive(LeaseTimeToLiveResponse answer, bool withKeys) => Line(json =>
    {
        json.WriteStartObject();
        WriteHeaderFields(json, answer.Header);
        json.WriteNumber("id", answer.Id);
        json.WriteNumber("ttl", answer.Ttl);
        json.WriteNumber("granted-ttl", answer.GrantedTtl);
        if (withKeys)
        {
            json.WriteStartArray("keys");
            foreach (ReadOnlyMemory<byte> key in answer.Keys)
            {
                json.WriteBase64StringValue(key.Span);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    });

    public void Leases(LeasesResponse answer) => Line(json =>
    {
        json.WriteStartObject();
        WriteHeaderFields(json, answer.Header);
        json.WriteStartArray("leases");
        foreach (long id in answer.Ids)
        {
            json.WriteStartObject();
            json.WriteNumber("id", id);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    public void Text(string line)
    {
        // For people only.
    }

    public ReadOnlyMemory<byte> Finish() => _text.Take();

    private static void WriteEach<T>(Utf8JsonWriter json, IReadOnlyList<EndpointAnswer<T>> answers, string name, Action<Utf8JsonWriter, T> write)
    {
        json.WriteStartArray();
        foreach (EndpointAnswer<T> answer in answers)
        {
            json.WriteStartObject();
            json.WriteString("Endpoint", answer.Endpoint);
            json.WritePropertyName(name);
            write(json, answer.Answer);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WritePut(Utf8JsonWriter json, PutResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        if (answer.Previous is { } previous)
        {
            json.WritePropertyName("prev_kv");
            WritePair(json, previous);
        }

        json.WriteEndObject();
    }

    private static void WriteRange(Utf8JsonWriter json, RangeResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        WritePairs(json, "kvs", answer.Items);
        if (answer.More)
        {
            json.WriteBoolean("more", true);
        }

        Number(json, "count", answer.Count);
        if (answer.Staleness > TimeSpan.Zero)
        {
            Number(json, "staleness_us", (long)Math.Ceiling(answer.Staleness.Value.TotalMicroseconds));
        }

        json.WriteEndObject();
    }

    private static void WriteDelete(Utf8JsonWriter json, DeleteRangeResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        Number(json, "deleted", answer.Deleted);
        WritePairs(json, "prev_kvs", answer.Previous);
        json.WriteEndObject();
    }

    private static void WriteTxn(Utf8JsonWriter json, TxnResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        if (answer.Succeeded)
        {
            json.WriteBoolean("succeeded", true);
        }

        if (answer.Responses.Count > 0)
        {
            json.WriteStartArray("responses");
            foreach (StoreResponse response in answer.Responses)
            {
                WriteInner(json, response);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static void WriteInner(Utf8JsonWriter json, StoreResponse response)
    {
        json.WriteStartObject();
        json.WriteStartObject("Response");
        switch (response)
        {
            case PutResponse put:
                json.WritePropertyName("response_put");
                WritePut(json, put);
                break;
            case RangeResponse range:
                json.WritePropertyName("response_range");
                WriteRange(json, range);
                break;
            case DeleteRangeResponse delete:
                json.WritePropertyName("response_delete_range");
                WriteDelete(json, delete);
                break;
            case TxnResponse txn:
                json.WritePropertyName("response_txn");
                WriteTxn(json, txn);
                break;
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteStatus(Utf8JsonWriter json, StatusResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        json.WriteString("version", answer.Version);
        json.WriteString("name", answer.Name);
        Number(json, "dbSize", answer.StoreBytes);
        Number(json, "dbSizeInUse", answer.StoreBytesInUse);
        Number(json, "diskBytes", answer.DiskBytes);
        Unsigned(json, "leader", answer.LeaderId);
        Unsigned(json, "raftIndex", answer.LastIndex);
        Unsigned(json, "raftTerm", answer.Header.Term);
        Unsigned(json, "raftAppliedIndex", answer.AppliedIndex);
        Unsigned(json, "raftCommitIndex", answer.CommitIndex);
        Unsigned(json, "snapshotIndex", answer.SnapshotIndex);
        Number(json, "compactRevision", answer.CompactRevision.Value);
        Number(json, "keys", answer.KeyCount);
        if (answer.IsLearner)
        {
            json.WriteBoolean("isLearner", true);
        }

        if (answer.IsWitness)
        {
            json.WriteBoolean("isWitness", true);
        }

        WriteMembers(json, answer.Members);
        json.WriteEndObject();
    }

    private static void WriteMembers(Utf8JsonWriter json, MembersResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        if (answer.MemberId != 0)
        {
            json.WriteNumber("member", answer.MemberId);
        }

        WriteMembers(json, answer.Members);
        json.WriteEndObject();
    }

    private static void WriteMembers(Utf8JsonWriter json, IReadOnlyList<Member> members)
    {
        json.WriteStartArray("members");
        foreach (Member member in members)
        {
            json.WriteStartObject();
            json.WriteNumber("ID", member.Id);
            json.WriteString("name", member.Name);
            WriteTexts(json, "peerURLs", member.PeerUrls);
            WriteTexts(json, "clientURLs", member.ClientUrls);
            if (member.IsLearner)
            {
                json.WriteBoolean("isLearner", true);
            }

            if (member.IsWitness)
            {
                json.WriteBoolean("isWitness", true);
            }
            else
            {
                json.WriteNumber("priority", member.Priority); // 0 too: it is not the default.
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, IReadOnlyList<string> texts)
    {
        json.WriteStartArray(name);
        foreach (string text in texts)
        {
            json.WriteStringValue(text);
        }

        json.WriteEndArray();
    }

    private static void WriteHash(Utf8JsonWriter json, HashResponse answer)
    {
        json.WriteStartObject();
        WriteHeader(json, answer.Header);
        Number(json, "hash", answer.Hash);
        Number(json, "compact_revision", answer.CompactRevision.Value);
        Number(json, "hash_revision", answer.HashRevision.Value);
        json.WriteEndObject();
    }

    private static void WriteHeader(Utf8JsonWriter json, ResponseHeader header)
    {
        json.WritePropertyName("header");
        WriteHeaderObject(json, header);
    }

    private static void WriteHeaderObject(Utf8JsonWriter json, ResponseHeader header)
    {
        json.WriteStartObject();
        WriteHeaderFields(json, header);
        json.WriteEndObject();
    }

    private static void WriteHeaderFields(Utf8JsonWriter json, ResponseHeader header)
    {
        Unsigned(json, "cluster_id", header.ClusterId);
        Unsigned(json, "member_id", header.NodeId);
        Number(json, "revision", header.Revision.Value);
        Unsigned(json, "raft_term", header.Term);
    }

    /// <summary>etcdctl prints answers about leases with the header's fields among their own.</summary>
    private static void WriteLease(Utf8JsonWriter json, ResponseHeader header, long id, long ttl)
    {
        json.WriteStartObject();
        WriteHeaderFields(json, header);
        json.WriteNumber("ID", id);
        json.WriteNumber("TTL", ttl);
        json.WriteEndObject();
    }

    private static void WritePairs(Utf8JsonWriter json, string name, IReadOnlyList<KeyValue> pairs)
    {
        if (pairs.Count == 0)
        {
            return;
        }

        json.WriteStartArray(name);
        foreach (KeyValue pair in pairs)
        {
            WritePair(json, pair);
        }

        json.WriteEndArray();
    }

    private static void WritePair(Utf8JsonWriter json, KeyValue pair)
    {
        json.WriteStartObject();
        json.WriteBase64String("key", pair.Key.Span);
        Number(json, "create_revision", pair.CreateRevision.Value);
        Number(json, "mod_revision", pair.ModRevision.Value);
        Number(json, "version", pair.Version);
        if (!pair.Value.IsEmpty)
        {
            json.WriteBase64String("value", pair.Value.Span);
        }

        Number(json, "lease", pair.LeaseId);
        json.WriteEndObject();
    }

    private static void Number(Utf8JsonWriter json, string name, long value)
    {
        if (value != 0)
        {
            json.WriteNumber(name, value);
        }
    }

    private static void Unsigned(Utf8JsonWriter json, string name, ulong value)
    {
        if (value != 0)
        {
            json.WriteNumber(name, value);
        }
    }

    private void Line(Action<Utf8JsonWriter> write)
    {
        using (var json = new Utf8JsonWriter(_text.Writer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            write(json);
        }

        _text.EndLine();
    }
}
