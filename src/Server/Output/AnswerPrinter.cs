using MetaStore.Engine;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Server.Output;

/// <summary>How answers are printed.</summary>
internal enum OutputFormat
{
    /// <summary>Keys and values, a line each, as etcdctl does.</summary>
    Simple,

    /// <summary>etcdctl's JSON: keys and values in base64.</summary>
    Json,

    /// <summary>etcdctl's fields: a line for each.</summary>
    Fields,

    /// <summary>For people.</summary>
    Table,
}

/// <summary>What of a range to print.</summary>
internal readonly record struct GetView(bool CountOnly, bool ValueOnly);

/// <summary>The answer of one endpoint.</summary>
internal sealed record EndpointAnswer<T>(string Endpoint, T Answer);

/// <summary>Prints answers of the store, to bytes that <see cref="Finish"/> hands out.</summary>
internal interface IAnswerPrinter
{
    void Put(PutResponse answer);

    void Get(RangeResponse answer, GetView view);

    void Delete(DeleteRangeResponse answer);

    void Txn(TxnResponse answer);

    void Compact(Revision revision, CompactResponse answer);

    /// <summary>What a watch was told.</summary>
    void Watch(WatchResponse answer);

    void Status(IReadOnlyList<EndpointAnswer<StatusResponse>> answers);

    void Hash(IReadOnlyList<EndpointAnswer<HashResponse>> answers);

    /// <summary>Which endpoints answer. Of those that do not the simple format says nothing: they are told as errors.</summary>
    void EndpointHealth(IReadOnlyList<EndpointHealth> answers);

    /// <summary>Status as etcdctl prints it: less than <see cref="Status"/>.</summary>
    void EndpointStatus(IReadOnlyList<EndpointAnswer<StatusResponse>> answers);

    /// <summary>Hashes as etcdctl prints them: less than <see cref="Hash"/>.</summary>
    void EndpointHash(IReadOnlyList<EndpointAnswer<HashResponse>> answers);

    void SnapshotStatus(SavedSnapshot snapshot);

    void Members(MembersResponse answer);

    /// <summary>A change of the members was made; <paramref name="done"/> is what was done, as "removed from".</summary>
    void MemberChanged(string done, MembersResponse answer);

    void LeaseGranted(LeaseGrantResponse answer);

    void LeaseRevoked(long id, LeaseRevokeResponse answer);

    /// <summary>One renewal; a time to live of 0 says that the lease is gone.</summary>
    void LeaseKeptAlive(LeaseKeepAliveResponse answer);

    void LeaseTimeToLive(LeaseTimeToLiveResponse answer, bool withKeys);

    void Leases(LeasesResponse answer);

    /// <summary>Something for people to read; nothing in a format for programs.</summary>
    void Text(string line);

    /// <summary>What was printed since it was last asked.</summary>
    ReadOnlyMemory<byte> Finish();
}

/// <summary>Makes the printer of a format.</summary>
internal static class AnswerPrinter
{
    public static IAnswerPrinter Create(OutputFormat format) => format switch
    {
        OutputFormat.Json => new JsonPrinter(),
        OutputFormat.Fields => new FieldsPrinter(),
        OutputFormat.Table => new TablePrinter(),
        _ => new SimplePrinter(),
    };
}
