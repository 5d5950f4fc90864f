using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;
using MetaStore.Testing.Processes;

namespace MetaStore.Etcd.Tests.Differential;

/// <summary>
/// The same requests, over gRPC, to etcd 3.4 and to this store: the answers must be equal, field by field, and so must what watches are told meanwhile, and what one tells afterwards.
/// Where etcd 3.4 is known to do something else on purpose or by mistake, <see cref="Differs"/> says what.
/// </summary>
public sealed class DifferentialTests
{
    /// <summary>Steps of a run. METASTORE_DIFFERENTIAL_REQUESTS=100000 makes long runs.</summary>
    private static int Steps => int.TryParse(Environment.GetEnvironmentVariable("METASTORE_DIFFERENTIAL_REQUESTS"), out int steps) ? steps : 1500;

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Etcd_and_this_store_give_the_same_answers(int seed)
    {
        Skip.If(!RealEtcd.IsInstalled && Environment.GetEnvironmentVariable("METASTORE_REQUIRE_ALL") != "1", "install etcd (Debian: etcd-server)");
        await using RealEtcd etcd = await RealEtcd.StartAsync();
        await using var node = new EtcdNode();
        await using ServedMethods served = await ServedMethods.StartAsync([.. node.Methods.All]);
        using var theirs = new GrpcClient(etcd.EndPoint);
        using var ours = new GrpcClient(served.EndPoint);
        using var watches = new TwinWatches(theirs, ours);
        await watches.BeginAsync();
        var requests = new RandomRequests(seed) { WatchesAvoided = watches.Compacted };
        for (int step = 0; step < Steps; step++)
        {
            requests.Watches = watches.Ids;
            (string path, IMessage request) = requests.Next();
            try
            {
                await StepAsync(theirs, ours, watches, requests, path, request);
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, step {step}: {path} {request}\n{e}");
            }
        }

        await watches.EndAsync();
        Assert.True(requests.Revision > Steps / 10, $"{Steps} requests came to revision {requests.Revision}");
        Assert.True(watches.EventsExpected > requests.Revision, $"{requests.Revision} revisions were told to watches in {watches.EventsExpected} events");
        await CompareHistoriesAsync(theirs, ours, requests.Compacted + 1, requests.Revision);
    }

    private static async Task StepAsync(GrpcClient theirs, GrpcClient ours, TwinWatches watches, RandomRequests requests, string path, IMessage request)
    {
        if (request is WatchRequest watch)
        {
            await watches.AskAsync(watch);
            return;
        }

        Answer expected = await AskAsync(theirs, path, request);
        Answer actual = await AskAsync(ours, path, request);
        if (!Differs(path, request, expected, actual))
        {
            Assert.True(expected == actual, $"etcd: {expected}\nhere: {actual}");
        }

        requests.Revision = Math.Max(requests.Revision, expected.Revision);
        if (request is CompactionRequest compaction && actual.Status == "0")
        {
            requests.Compacted = compaction.Revision;
            watches.Compact(compaction.Revision);
        }

        await watches.AdvanceAsync(requests.Revision);
    }

    /// <summary>What may differ.</summary>
    private static bool Differs(string path, IMessage request, Answer theirs, Answer ours) => request switch
    {
        // A store that was never compacted takes 0 for a revision to compact to in etcd; here there is nothing before it.
        CompactionRequest { Revision: 0 } => theirs.Status is "0" or "11" && ours.Status == "11",
        _ => false,
    };

    private static async Task<Answer> AskAsync(GrpcClient client, string path, IMessage request)
    {
        // A stream that is asked once has one answer, as a call has.
        GrpcAnswer answer = await client.CallAsync(path, request);
        if (answer.Status != "0")
        {
            return new Answer(answer.Status, answer.Message, string.Empty, 0);
        }

        IMessage message = GrpcClientAnswer(path, answer.Body);
        long revision = Normalize(message);
        return new Answer(answer.Status, null, message.ToString()!, revision);
    }

    private static IMessage GrpcClientAnswer(string path, byte[] body) => path switch
    {
        Say.Put => GrpcClient.Unframe(PutResponse.Parser, body),
        Say.Range => GrpcClient.Unframe(RangeResponse.Parser, body),
        Say.Delete => GrpcClient.Unframe(DeleteRangeResponse.Parser, body),
        Say.Txn => GrpcClient.Unframe(TxnResponse.Parser, body),
        Say.Compact => GrpcClient.Unframe(CompactionResponse.Parser, body),
        Say.Grant => GrpcClient.Unframe(LeaseGrantResponse.Parser, body),
        Say.Revoke => GrpcClient.Unframe(LeaseRevokeResponse.Parser, body),
        Say.KeepAlive => GrpcClient.Unframe(LeaseKeepAliveResponse.Parser, body),
        "/etcdserverpb.Lease/LeaseTimeToLive" => GrpcClient.Unframe(LeaseTimeToLiveResponse.Parser, body),
        "/etcdserverpb.Lease/LeaseLeases" => GrpcClient.Unframe(LeaseLeasesResponse.Parser, body),
        _ => throw new ArgumentException($"{path} is not compared"),
    };

    /// <summary>Takes out who answered, and what depends on the time. Returns the revision of the header.</summary>
    private static long Normalize(IMessage message)
    {
        FieldDescriptor field = message.Descriptor.FindFieldByName("header");
        var header = (ResponseHeader)field.Accessor.GetValue(message);
        Assert.True(header is { ClusterId: not 0, MemberId: not 0, RaftTerm: not 0 }, $"{message} does not say who gave it");
        field.Accessor.SetValue(message, new ResponseHeader { Revision = header.Revision });
        switch (message)
        {
            case LeaseTimeToLiveResponse { TTL: > 0 } left:
                left.TTL = 1;
                ByteString[] keys = [.. left.Keys.OrderBy(key => key.ToStringUtf8(), StringComparer.Ordinal)]; // In etcd in no order.
                left.Keys.Clear();
                left.Keys.Add(keys);
                break;
            case LeaseLeasesResponse all:
                // In etcd in the order in which they end.
                LeaseStatus[] ordered = [.. all.Leases.OrderBy(lease => lease.ID)];
                all.Leases.Clear();
                all.Leases.Add(ordered);
                break;
        }

        return header.Revision;
    }

    private static async Task CompareHistoriesAsync(GrpcClient theirs, GrpcClient ours, long from, long to)
    {
        List<Event> expected = await EventsAsync(theirs, from, to);
        List<Event> actual = await EventsAsync(ours, from, to);
        Assert.Equal(expected.Select(e => e.ToString()), actual.Select(e => e.ToString()));
    }

    private static async Task<List<Event>> EventsAsync(GrpcClient client, long from, long to)
    {
        var events = new List<Event>();
        using GrpcStream stream = client.Open(Say.Watch);
        stream.Say(new WatchRequest { CreateRequest = new WatchCreateRequest { RangeEnd = ByteString.CopyFrom(0), StartRevision = from, PrevKv = true } });
        while (from <= to && (events.Count == 0 || events[^1].Kv.ModRevision < to))
        {
            WatchResponse? response = await stream.HearAsync(WatchResponse.Parser);
            Assert.True(response is { Canceled: false }, $"the watch from {from} to {to} has ended: {response}");
            events.AddRange(response.Events);
        }

        return events;
    }

    private sealed record Answer(string? Status, string? Message, string Body, long Revision);
}
