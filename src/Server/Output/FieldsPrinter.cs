using MetaStore.Engine;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Server.Output;

/// <summary>etcdctl's fields: a line for each field, its name between quotation marks.</summary>
internal sealed class FieldsPrinter : IAnswerPrinter
{
    private readonly ByteText _text = new();

    public void Put(PutResponse answer)
    {
        Header(answer.Header);
        if (answer.Previous is { } previous)
        {
            Pair("Prev", previous);
        }
    }

    public void Get(RangeResponse answer, GetView view)
    {
        Header(answer.Header);
        foreach (KeyValue pair in answer.Items)
        {
            Pair(string.Empty, pair);
        }

        Field("More", EndpointRows.Word(answer.More));
        Field("Count", answer.Count);
    }

    public void Delete(DeleteRangeResponse answer)
    {
        Header(answer.Header);
        Field("Deleted", answer.Deleted);
        foreach (KeyValue pair in answer.Previous)
        {
            Pair("Prev", pair);
        }
    }

    public void Txn(TxnResponse answer)
    {
        Header(answer.Header);
        Field("Succeeded", EndpointRows.Word(answer.Succeeded));
        foreach (StoreResponse response in answer.Responses)
        {
            switch (response)
            {
                case PutResponse put:
                    Put(put);
                    break;
                case RangeResponse range:
                    Get(range, default);
                    break;
                case DeleteRangeResponse delete:
                    Delete(delete);
                    break;
                case TxnResponse inner:
                    Txn(inner);
                    break;
            }
        }
    }

    public void Compact(Revision revision, CompactResponse answer) => _text.Line($"compacted revision {revision}");

    public void Watch(WatchResponse answer)
    {
        Header(answer.Header);
        foreach (WatchEvent e in answer.Events)
        {
            Field("Type", e.Type == WatchEventType.Put ? "PUT" : "DELETE");
            if (e.Previous is { } previous)
            {
                Pair("Prev", previous);
            }

            Pair(string.Empty, e.KeyValue);
        }
    }

    public void Status(IReadOnlyList<EndpointAnswer<StatusResponse>> answers) => EndpointStatus(answers);

    public void Hash(IReadOnlyList<EndpointAnswer<HashResponse>> answers) => EndpointHash(answers);

    public void EndpointHealth(IReadOnlyList<EndpointHealth> answers)
    {
        foreach (EndpointHealth health in answers)
        {
            Text("Endpoint", health.Endpoint);
            Field("Health", EndpointRows.Word(health.Error is null));
            Field("Took", GoText.Duration(health.Took));
            Field("Error", health.Error ?? string.Empty);
            _text.EndLine();
        }
    }

    public void EndpointStatus(IReadOnlyList<EndpointAnswer<StatusResponse>> answers)
    {
        foreach ((string endpoint, StatusResponse status) in answers)
        {
            Header(status.Header);
            Text("Version", status.Version);
            Field("DBSize", status.StoreBytes);
            Field("Leader", status.LeaderId);
            Field("IsLearner", EndpointRows.Word(status.IsLearner));
            Field("RaftIndex", status.LastIndex);
            Field("RaftTerm", status.Header.Term);
            Field("RaftAppliedIndex", status.AppliedIndex);
            Field("Errors", $"[{EndpointRows.ErrorsOf(status)}]");
            Text("Endpoint", endpoint);
            _text.EndLine();
        }
    }

    public void EndpointHash(IReadOnlyList<EndpointAnswer<HashResponse>> answers)
    {
        foreach ((string endpoint, HashResponse hash) in answers)
        {
            Header(hash.Header);
            Text("Endpoint", endpoint);
            Field("Hash", hash.Hash);
            _text.EndLine();
        }
    }

    public void SnapshotStatus(SavedSnapshot snapshot)
    {
        Field("Hash", snapshot.Hash);
        Field("Revision", snapshot.Revision);
        Field("Keys", snapshot.KeyCount);
        Field("Size", snapshot.FileBytes);
    }

    public void Members(MembersResponse answer)
    {
        Header(answer.Header);
        foreach (Member member in answer.Members)
        {
            Field("ID", member.Id);
            Text("Name", member.Name);
            foreach (string url in member.PeerUrls)
            {
                Text("PeerURL", url);
            }

            foreach (string url in member.ClientUrls)
            {
                Text("ClientURL", url);
            }

            Field("IsLearner", EndpointRows.Word(member.IsLearner));
            _text.EndLine();
        }
    }

    public void MemberChanged(string done, MembersResponse answer)
    {
        Header(answer.Header);
        if (answer.MemberId != 0)
        {
            Field("Member", answer.MemberId);
        }
    }

    public void LeaseGranted(LeaseGrantResponse answer)
    {
        Header(answer.Header);
        Field("ID", answer.Id);
        Field("TTL", answer.Ttl);
    }

    public void LeaseRevoked(long id, LeaseRevokeResponse answer) => Header(answer.Header);

    public void LeaseKeptAlive(LeaseKeepAliveResponse answer)
    {
        Header(answer.Header);
        Field("ID", answer.Id);
        Field("TTL", answer.Ttl);
    }

    public void LeaseTimeToLive(LeaseTimeToLiveResponse answer, bool withKeys)
    {
        Header(answer.Header);
        Field("ID", answer.Id);
        Field("TTL", answer.Ttl);
        Field("GrantedTTL", answer.GrantedTtl);
        foreach (ReadOnlyMemory<byte> key in answer.Keys)
        {
            Field("Key", GoText.Quote(key.Span));
        }
    }

    public void Leases(LeasesResponse answer)
    {
        Header(answer.Header);
        foreach (long id in answer.Ids)
        {
            Field("ID", id);
        }
    }

    public void Text(string line)
    {
        // For people only.
    }

    public ReadOnlyMemory<byte> Finish() => _text.Take();

    private void Header(ResponseHeader header)
    {
        Field("ClusterID", header.ClusterId);
        Field("MemberID", header.NodeId);
        Field("Revision", header.Revision);
        Field("RaftTerm", header.Term);
    }

    private void Pair(string prefix, KeyValue pair)
    {
        Field(prefix + "Key", GoText.Quote(pair.Key.Span));
        Field(prefix + "CreateRevision", pair.CreateRevision);
        Field(prefix + "ModRevision", pair.ModRevision);
        Field(prefix + "Version", pair.Version);
        Field(prefix + "Value", GoText.Quote(pair.Value.Span));
        Field(prefix + "Lease", pair.LeaseId);
    }

    private void Field<T>(string name, T value) => _text.Line(FormattableString.Invariant($"\"{name}\" : {value}"));

    private void Text(string name, string value) => Field(name, GoText.Quote(value));
}
