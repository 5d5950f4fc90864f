using MetaStore.Engine;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Server.Output;

/// <summary>Answers as tables, for people: what is not printable is escaped.</summary>
internal sealed class TablePrinter : IAnswerPrinter
{
    private static readonly string[] s_pairHeads = ["key", "value", "create rev", "mod rev", "version", "lease"];

    private readonly ByteText _text = new();

    public void Put(PutResponse answer)
    {
        TextTable.Write(_text, ["result", "revision"], [["OK", answer.Header.Revision.ToString()]]);
        if (answer.Previous is { } previous)
        {
            Pairs([previous]);
        }
    }

    public void Get(RangeResponse answer, GetView view)
    {
        if (view.CountOnly)
        {
            TextTable.Write(_text, ["count"], [[answer.Count.ToString()]]);
        }
        else
        {
            Pairs(answer.Items);
        }
    }

    public void Delete(DeleteRangeResponse answer)
    {
        TextTable.Write(_text, ["deleted", "revision"], [[answer.Deleted.ToString(), answer.Header.Revision.ToString()]]);
        if (answer.Previous.Count > 0)
        {
            Pairs(answer.Previous);
        }
    }

    public void Txn(TxnResponse answer)
    {
        TextTable.Write(_text, ["result", "revision"], [[answer.Succeeded ? "SUCCESS" : "FAILURE", answer.Header.Revision.ToString()]]);
        foreach (StoreResponse response in answer.Responses)
        {
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

    public void Compact(Revision revision, CompactResponse answer) =>
        TextTable.Write(_text, ["compacted revision", "revision"], [[revision.ToString(), answer.Header.Revision.ToString()]]);

    public void Watch(WatchResponse answer)
    {
        if (answer.IsProgress)
        {
            TextTable.Write(_text, ["progress"], [[answer.Header.Revision.ToString()]]);
            return;
        }

        string[][] rows =
        [
            .. answer.Events.Select(e => (string[])
            [
                e.Type == WatchEventType.Put ? "PUT" : "DELETE",
                ByteText.Escape(e.KeyValue.Key.Span),
                ByteText.Escape(e.KeyValue.Value.Span),
                e.Previous is { } previous ? ByteText.Escape(previous.Value.Span) : string.Empty,
                e.KeyValue.ModRevision.ToString(),
                e.KeyValue.Version.ToString(),
            ]),
        ];
        TextTable.Write(_text, ["event", "key", "value", "previous", "mod rev", "version"], rows);
    }

    public void Status(IReadOnlyList<EndpointAnswer<StatusResponse>> answers) =>
        TextTable.Write(_text, NodeRows.StatusHeads, [.. answers.Select(NodeRows.Of)]);

    public void Hash(IReadOnlyList<EndpointAnswer<HashResponse>> answers) =>
        TextTable.Write(_text, NodeRows.HashHeads, [.. answers.Select(NodeRows.Of)]);

    public void EndpointHealth(IReadOnlyList<EndpointHealth> answers) => TextTable.Write(_text, EndpointRows.HealthHeads, [.. answers.Select(EndpointRows.Of)]);

    public void EndpointStatus(IReadOnlyList<EndpointAnswer<StatusResponse>> answers) =>
        TextTable.Write(_text, EndpointRows.StatusHeads, [.. answers.Select(EndpointRows.Of)]);

    public void EndpointHash(IReadOnlyList<EndpointAnswer<HashResponse>> answers) => TextTable.Write(_text, EndpointRows.HashHeads, [.. answers.Select(EndpointRows.Of)]);

    public void SnapshotStatus(SavedSnapshot snapshot) => TextTable.Write(_text, EndpointRows.SnapshotHeads, [EndpointRows.Of(snapshot)]);

    public void Members(MembersResponse answer) => TextTable.Write(_text, NodeRows.MemberHeads, [.. answer.Members.Select(NodeRows.Of)]);

    public void MemberChanged(string done, MembersResponse answer) => _text.Line(NodeRows.Describe(done, answer));

    public void LeaseGranted(LeaseGrantResponse answer) => TextTable.Write(_text, ["lease", "ttl"], [[$"{answer.Id:x16}", answer.Ttl.ToString()]]);

    public void LeaseRevoked(long id, LeaseRevokeResponse answer) =>
        TextTable.Write(_text, ["revoked lease", "revision"], [[$"{id:x16}", answer.Header.Revision.ToString()]]);

    public void LeaseKeptAlive(LeaseKeepAliveResponse answer) => TextTable.Write(_text, ["lease", "ttl"], [[$"{answer.Id:x16}", answer.Ttl > 0 ? answer.Ttl.ToString() : "gone"]]);

    public void LeaseTimeToLive(LeaseTimeToLiveResponse answer, bool withKeys)
    {
        bool exists = answer.GrantedTtl > 0;
        TextTable.Write(_text, ["lease", "granted ttl", "remaining"], [[$"{answer.Id:x16}", exists ? answer.GrantedTtl.ToString() : "gone", exists ? answer.Ttl.ToString() : string.Empty]]);
        if (withKeys && exists)
        {
            TextTable.Write(_text, ["attached keys"], [.. answer.Keys.Select(key => (string[])[ByteText.Escape(key.Span)])]);
        }
    }

    public void Leases(LeasesResponse answer) => TextTable.Write(_text, ["lease"], [.. answer.Ids.Select(id => (string[])[$"{id:x16}"])]);

    public void Text(string line) => _text.Line(line);

    public ReadOnlyMemory<byte> Finish() => _text.Take();

    private void Pairs(IReadOnlyList<KeyValue> pairs) => TextTable.Write(_text, s_pairHeads, [.. pairs.Select(Row)]);

    private static string[] Row(KeyValue pair) =>
    [
        ByteText.Escape(pair.Key.Span),
        ByteText.Escape(pair.Value.Span),
        pair.CreateRevision.ToString(),
        pair.ModRevision.ToString(),
        pair.Version.ToString(),
        pair.LeaseId == 0 ? string.Empty : pair.LeaseId.ToString("x16"),
    ];
}
