using MetaStore.Engine;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Server.Output;

/// <summary>etcdctl's simple format: bytes as they are, a line each.</summary>
internal sealed class SimplePrinter : IAnswerPrinter
{
    private readonly ByteText _text = new();

    public void Put(PutResponse answer)
    {
        _text.Line("OK");
        if (answer.Previous is { } previous)
        {
            Pair(previous, valueOnly: false);
        }
    }

    public void Get(RangeResponse answer, GetView view)
    {
        if (view.CountOnly)
        {
            _text.Line(answer.Count.ToString());
        }

        foreach (KeyValue pair in answer.Items)
        {
            Pair(pair, view.ValueOnly);
        }
    }

    public void Delete(DeleteRangeResponse answer)
    {
        _text.Line(answer.Deleted.ToString());
        foreach (KeyValue pair in answer.Previous)
        {
            Pair(pair, valueOnly: false);
        }
    }

    public void Txn(TxnResponse answer)
    {
        _text.Line(answer.Succeeded ? "SUCCESS" : "FAILURE");
        foreach (StoreResponse response in answer.Responses)
        {
            _text.EndLine();
            switch (response)
            {
                case PutResponse put:
                    Put(put);
                    break;
                case RangeResponse range:
                    Get(range, new GetView(CountOnly: range.Items.Count == 0 && range.Count > 0, ValueOnly: false));
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

    /// <summary>As etcdctl: what happened, the previous pair where there is one, the pair; of a removal the value is empty.</summary>
    public void Watch(WatchResponse answer)
    {
        if (answer.IsProgress)
        {
            _text.Line($"progress notify: {answer.Header.Revision}");
        }

        foreach (WatchEvent e in answer.Events)
        {
            _text.Line(e.Type == WatchEventType.Put ? "PUT" : "DELETE");
            if (e.Previous is { } previous)
            {
                Pair(previous, valueOnly: false);
            }

            Pair(e.KeyValue, valueOnly: false);
        }
    }

    public void Status(IReadOnlyList<EndpointAnswer<StatusResponse>> answers)
    {
        foreach (EndpointAnswer<StatusResponse> answer in answers)
        {
            _text.Line(string.Join(", ", NodeRows.Of(answer)));
        }
    }

    public void Hash(IReadOnlyList<EndpointAnswer<HashResponse>> answers)
    {
        foreach (EndpointAnswer<HashResponse> answer in answers)
        {
            _text.Line(string.Join(", ", NodeRows.Of(answer)));
        }
    }

    public void EndpointHealth(IReadOnlyList<EndpointHealth> answers)
    {
        foreach (EndpointHealth health in answers.Where(health => health.Error is null))
        {
            _text.Line($"{health.Endpoint} is healthy: successfully committed proposal: took = {GoText.Duration(health.Took)}");
        }
    }

    public void EndpointStatus(IReadOnlyList<EndpointAnswer<StatusResponse>> answers) => Rows(answers.Select(EndpointRows.Of));

    public void EndpointHash(IReadOnlyList<EndpointAnswer<HashResponse>> answers) => Rows(answers.Select(EndpointRows.Of));

    public void SnapshotStatus(SavedSnapshot snapshot) => Rows([EndpointRows.Of(snapshot)]);

    public void Members(MembersResponse answer)
    {
        foreach (Member member in answer.Members)
        {
            _text.Line(string.Join(", ", NodeRows.Of(member)));
        }
    }

    public void MemberChanged(string done, MembersResponse answer) => _text.Line(NodeRows.Describe(done, answer));

    public void LeaseGranted(LeaseGrantResponse answer) => _text.Line($"lease {answer.Id:x16} granted with TTL({answer.Ttl}s)");

    public void LeaseRevoked(long id, LeaseRevokeResponse answer) => _text.Line($"lease {id:x16} revoked");

    public void LeaseKeptAlive(LeaseKeepAliveResponse answer) => _text.Line(
        answer.Ttl > 0 ? $"lease {answer.Id:x16} keepalived with TTL({answer.Ttl})" : $"lease {answer.Id:x16} expired or revoked.");

    public void LeaseTimeToLive(LeaseTimeToLiveResponse answer, bool withKeys)
    {
        if (answer.GrantedTtl == 0)
        {
            _text.Line($"lease {answer.Id:x16} already expired");
            return;
        }

        // Escaped, unlike the keys of other answers: here they share a line.
        string keys = withKeys ? $", attached keys([{string.Join(' ', answer.Keys.Select(key => ByteText.Escape(key.Span)))}])" : string.Empty;
        _text.Line($"lease {answer.Id:x16} granted with TTL({answer.GrantedTtl}s), remaining({answer.Ttl}s){keys}");
    }

    public void Leases(LeasesResponse answer)
    {
        _text.Line($"found {answer.Ids.Count} leases");
        foreach (long id in answer.Ids)
        {
            _text.Line($"{id:x16}");
        }
    }

    public void Text(string line) => _text.Line(line);

    public ReadOnlyMemory<byte> Finish() => _text.Take();

    private void Rows(IEnumerable<string[]> rows)
    {
        foreach (string[] row in rows)
        {
            _text.Line(string.Join(", ", row));
        }
    }

    private void Pair(KeyValue pair, bool valueOnly)
    {
        if (!valueOnly)
        {
            _text.Line(pair.Key);
        }

        _text.Line(pair.Value);
    }
}
