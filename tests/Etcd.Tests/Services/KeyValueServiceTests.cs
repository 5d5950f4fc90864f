using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>etcdserverpb.KV, point by point.</summary>
public sealed class KeyValueServiceTests
{
    /// <summary>What an item counts beside its key and value.</summary>
    private const int Item = 192;

    [Fact]
    public async Task A_fresh_store_is_at_1_and_every_answer_says_who_gave_it()
    {
        await using var node = new EtcdNode();
        RangeResponse empty = await node.CallAsync<RangeResponse>(Say.Range, Say.All);
        Assert.Equal("@1 count 0", Say.Text(empty));
        Assert.Equal((7u, 1u), (empty.Header.ClusterId, empty.Header.MemberId));
        Assert.True(empty.Header.RaftTerm > 0);
        PutResponse put = await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", "A"));
        Assert.Equal((7u, 1u, 2), (put.Header.ClusterId, put.Header.MemberId, put.Header.Revision));
    }

    [Fact]
    public async Task A_range_has_all_of_etcds_options()
    {
        await using EtcdNode node = await FilledAsync();
        Assert.Equal("@6 count 3 a=3(c2 m5 v2) b=1(c3 m3 v1) c=2(c4 m6 v2)", await RangeAsync(node, Say.All));
        Assert.Equal("@6 count 1 b=1(c3 m3 v1)", await RangeAsync(node, new RangeRequest { Key = Say.Bytes("b") }));
        Assert.Equal("@6 count 2 b=1(c3 m3 v1) c=2(c4 m6 v2)", await RangeAsync(node, new RangeRequest { Key = Say.Bytes("b"), RangeEnd = ByteString.CopyFrom(0) }));
        Assert.Equal("@6 count 3 more a=3(c2 m5 v2) b=1(c3 m3 v1)", await RangeAsync(node, With(range => range.Limit = 2)));
        Assert.Equal("@6 count 3", await RangeAsync(node, With(range => range.CountOnly = true)));
        Assert.Equal("@6 count 3 a=(c2 m5 v2) b=(c3 m3 v1) c=(c4 m6 v2)", await RangeAsync(node, With(range => range.KeysOnly = true)));
        Assert.Equal("@6 count 2 a=2(c2 m2 v1) b=1(c3 m3 v1)", await RangeAsync(node, With(range => range.Revision = 3)));
        Assert.Equal("@6 count 3 c=2(c4 m6 v2) b=1(c3 m3 v1) a=3(c2 m5 v2)", await RangeAsync(node, With(range => range.SortOrder = RangeRequest.Types.SortOrder.Descend)));
        Assert.Equal("@6 count 3 b=1(c3 m3 v1) c=2(c4 m6 v2) a=3(c2 m5 v2)", await RangeAsync(node, With(range => range.SortTarget = RangeRequest.Types.SortTarget.Value)));
        Assert.Equal("@6 count 3 more c=2(c4 m6 v2)", await RangeAsync(node, With(range =>
        {
            range.SortTarget = RangeRequest.Types.SortTarget.Mod;
            range.SortOrder = RangeRequest.Types.SortOrder.Descend;
            range.Limit = 1;
        })));
        Assert.Equal("@6 count 3 a=3(c2 m5 v2) c=2(c4 m6 v2)", await RangeAsync(node, With(range => range.MinModRevision = 4)));
        Assert.Equal("@6 count 3 more a=3(c2 m5 v2)", await RangeAsync(node, With(range =>
        {
            range.MinModRevision = 4;
            range.Limit = 1;
        })));
        Assert.Equal("@6 count 3 b=1(c3 m3 v1)", await RangeAsync(node, With(range => range.MaxModRevision = 4)));
        Assert.Equal("@6 count 3 c=2(c4 m6 v2)", await RangeAsync(node, With(range => range.MinCreateRevision = 4)));
        Assert.Equal("@6 count 3 a=3(c2 m5 v2)", await RangeAsync(node, With(range => range.MaxCreateRevision = 2)));
        Assert.Equal("@6 count 3 b=1(c3 m3 v1)", await RangeAsync(node, With(range =>
        {
            range.MaxModRevision = 3;
            range.Serializable = true;
        })));
    }

    [Fact]
    public async Task A_range_stream_merges_to_what_range_answers_page_by_page()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { StreamMessageBytes = 6 + (2 * Item) });
        for (int i = 0; i < 10; i++)
        {
            await node.CallAsync<PutResponse>(Say.Put, Say.PutOf($"k{i}", i % 3 == 0 ? "long value" : "v"));
        }

        RangeRequest[] requests =
        [
            Say.All, With(range => range.Limit = 1), With(range => range.Limit = 4), With(range => range.Limit = 10), With(range => range.Limit = 11), With(range => range.KeysOnly = true),
            With(range => range.CountOnly = true), With(range => range.Revision = 5), With(range => range.MinModRevision = 6),
            With(range => range.SortOrder = RangeRequest.Types.SortOrder.Descend), With(range => range.SortTarget = RangeRequest.Types.SortTarget.Value),
            new RangeRequest { Key = Say.Bytes("k3") }, new RangeRequest { Key = Say.Bytes("x"), RangeEnd = Say.Bytes("z") },
        ];
        foreach (RangeRequest request in requests)
        {
            RangeResponse whole = await node.CallAsync<RangeResponse>(Say.Range, request);
            var merged = new RangeStreamResponse();
            List<IMessage> parts = await node.Open(Say.RangeStream, request).ReadToEndAsync();
            foreach (RangeStreamResponse part in parts.Cast<RangeStreamResponse>())
            {
                bool isLast = ReferenceEquals(part, parts[^1]);
                Assert.True(isLast || part.RangeResponse is { Header: null, Count: 0, More: false }, $"{request}: only the last message says anything of the whole");
                Assert.True(!isLast || request is not { SortTarget: RangeRequest.Types.SortTarget.Key, SortOrder: RangeRequest.Types.SortOrder.None } || part.RangeResponse.Kvs.Count <= 2, $"{request}: a message exceeds its size");
                merged.MergeFrom(part);
            }

            Assert.Equal(whole, merged.RangeResponse);
        }

        Assert.Equal(7, (await node.Open(Say.RangeStream, Say.All).ReadToEndAsync()).Count);
    }

    /// <summary>What is too large to be held comes in parts, in both directions, and comes to the same.</summary>
    [Fact]
    public async Task An_answer_that_is_not_streamed_is_bounded()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { WholeAnswerBytesMax = 14 + (2 * Item), StreamMessageBytes = 14 + (2 * Item), HeldAnswerBytesMax = 20 + (2 * Item), AnswerBytesMax = 210 });
        MethodTable whole = EtcdServices.Create(node.Node, new EtcdServicesOptions());
        for (int i = 0; i < 10; i++)
        {
            await node.CallAsync<PutResponse>(Say.Put, Say.PutOf($"k{i}", "value"));
        }

        (RangeRequest Request, int Parts)[] requests =
        [
            (Say.All, 5), (With(range => range.Limit = 1), 1), (With(range => range.Limit = 2), 1), (With(range => range.Limit = 3), 2), (With(range => range.Limit = 10), 5),
            (With(range => range.KeysOnly = true), 5), (With(range => range.CountOnly = true), 1), (With(range => range.Revision = 6), 3), (With(range => range.MinModRevision = 5), 4),
            (With(range => range.SortOrder = RangeRequest.Types.SortOrder.Descend), 5),
            (With(range =>
            {
                range.SortOrder = RangeRequest.Types.SortOrder.Descend;
                range.Limit = 5;
            }), 3),
        ];
        foreach ((RangeRequest request, int parts) in requests)
        {
            RpcAnswer answer = await ((UnaryMethod)node.Methods.Find(Say.Range)!).AnswerAsync(request, TestContext.Plain);
            List<IMessage> rest = answer.Rest is null ? [] : await answer.Rest.ToListAsync();
            Assert.Equal((request, parts), (request, 1 + rest.Count));
            Assert.All(rest, part => Assert.True(part is RangeResponse { Header: null, More: false, Count: 0, Kvs.Count: > 0 }));
            Assert.Equal(answer.Rest is null ? 0 : answer.First.CalculateSize() + rest.Sum(part => part.CalculateSize()), answer.Length);
            foreach (IMessage part in rest)
            {
                answer.First.MergeFrom(part.ToByteArray());
            }

            Assert.Equal(await ((UnaryMethod)whole.Find(Say.Range)!).CallAsync(request, TestContext.Plain), answer.First);
        }

        RangeRequest sorted = With(range => range.SortTarget = RangeRequest.Types.SortTarget.Mod);
        Assert.StartsWith($"ResourceExhausted: the answer is larger than {20 + (2 * Item)} bytes; ask for less at a time: ", await node.FailsAsync(Say.Range, sorted), StringComparison.Ordinal);
        sorted.Limit = 2;
        Assert.Equal("@11 count 10 more k0=value(c2 m2 v1) k1=value(c3 m3 v1)", await RangeAsync(node, sorted));
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("k99", "value"));
        Assert.StartsWith("ResourceExhausted: the answer is larger than 210 bytes; ask for less at a time: ", await node.FailsAsync(Say.Range, Say.All), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_compaction_ends_an_answer_whose_parts_are_still_read()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { WholeAnswerBytesMax = 1, StreamMessageBytes = 1 });
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", "1"));
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("b", "1"));
        RpcAnswer answer = await ((UnaryMethod)node.Methods.Find(Say.Range)!).AnswerAsync(Say.All, TestContext.Plain);
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("b", "2"));
        await node.CallAsync<CompactionResponse>(Say.Compact, new CompactionRequest { Revision = 4 });
        RpcException e = await Assert.ThrowsAsync<RpcException>(async () => await answer.Rest!.ToListAsync());
        Assert.Equal((StatusCode.OutOfRange, "etcdserver: mvcc: required revision has been compacted"), (e.Code, e.Message));
    }

    [Fact]
    public async Task A_put_keeps_what_it_is_told_to_and_returns_what_was_there()
    {
        await using var node = new EtcdNode();
        await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = 9, TTL = 100 });
        Assert.Null((await node.CallAsync<PutResponse>(Say.Put, new PutRequest { Key = Say.Bytes("a"), Value = Say.Bytes("1"), PrevKv = true })).PrevKv);
        PutResponse second = await node.CallAsync<PutResponse>(Say.Put, new PutRequest { Key = Say.Bytes("a"), IgnoreValue = true, Lease = 9, PrevKv = true });
        Assert.Equal("a=1(c2 m2 v1)", Say.Text(second.PrevKv));
        await node.CallAsync<PutResponse>(Say.Put, new PutRequest { Key = Say.Bytes("a"), Value = Say.Bytes("3"), IgnoreLease = true });
        Assert.Equal("@4 count 1 a=3(c2 m4 v3 l9)", await RangeAsync(node, Say.All));
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", "4"));
        Assert.Equal("@5 count 1 a=4(c2 m5 v4)", await RangeAsync(node, Say.All));
    }

    [Fact]
    public async Task A_delete_counts_and_takes_no_revision_where_nothing_was()
    {
        await using EtcdNode node = await FilledAsync();
        DeleteRangeResponse none = await node.CallAsync<DeleteRangeResponse>(Say.Delete, new DeleteRangeRequest { Key = Say.Bytes("x") });
        Assert.Equal((0, 6), (none.Deleted, none.Header.Revision));
        DeleteRangeResponse two = await node.CallAsync<DeleteRangeResponse>(Say.Delete, new DeleteRangeRequest { Key = Say.Bytes("b"), RangeEnd = Say.Bytes("z"), PrevKv = true });
        Assert.Equal((2, 7), (two.Deleted, two.Header.Revision));
        Assert.Equal(["b=1(c3 m3 v1)", "c=2(c4 m6 v2)"], two.PrevKvs.Select(Say.Text));
    }

    [Fact]
    public async Task A_transaction_nests_and_its_inner_answers_have_a_revision_alone()
    {
        await using EtcdNode node = await FilledAsync();
        var txn = new TxnRequest();
        txn.Compare.Add(new Compare { Key = Say.Bytes("x"), Target = Compare.Types.CompareTarget.Create, Result = Compare.Types.CompareResult.Equal });
        txn.Compare.Add(new Compare { Key = Say.Bytes("a"), Target = Compare.Types.CompareTarget.Value, Value = Say.Bytes("3") });
        txn.Compare.Add(new Compare { Key = Say.Bytes("a"), RangeEnd = Say.Bytes("z"), Target = Compare.Types.CompareTarget.Mod, Result = Compare.Types.CompareResult.Greater, ModRevision = 2 });
        txn.Success.Add(Say.Op(Say.PutOf("x", "1")));
        txn.Success.Add(Say.Op(new RangeRequest { Key = Say.Bytes("x") }));
        txn.Success.Add(Say.Op(new DeleteRangeRequest { Key = Say.Bytes("c") }));
        var nested = new TxnRequest();
        nested.Compare.Add(new Compare { Key = Say.Bytes("a"), Target = Compare.Types.CompareTarget.Version, Result = Compare.Types.CompareResult.Less, Version = 2 });
        nested.Failure.Add(Say.Op(Say.PutOf("y", "2")));
        txn.Success.Add(Say.Op(nested));
        TxnResponse response = await node.CallAsync<TxnResponse>(Say.Txn, txn);
        Assert.True(response.Succeeded);
        Assert.Equal((7u, 7), (response.Header.ClusterId, response.Header.Revision));
        Assert.Equal(new ResponseHeader { Revision = 7 }, response.Responses[0].ResponsePut.Header);
        Assert.Equal("@7 count 1 x=1(c7 m7 v1)", Say.Text(response.Responses[1].ResponseRange));
        Assert.Equal((1, 7), (response.Responses[2].ResponseDeleteRange.Deleted, response.Responses[2].ResponseDeleteRange.Header.Revision));
        Assert.Equal(new ResponseHeader(), response.Responses[3].ResponseTxn.Header);
        Assert.False(response.Responses[3].ResponseTxn.Succeeded);
        Assert.Equal(7, response.Responses[3].ResponseTxn.Responses[0].ResponsePut.Header.Revision);
    }

    [Fact]
    public async Task A_compare_whose_union_does_not_fit_its_target_compares_with_nothing()
    {
        await using EtcdNode node = await FilledAsync();
        Assert.False(await HoldsAsync(new Compare { Key = Say.Bytes("a"), Target = Compare.Types.CompareTarget.Version, ModRevision = 2 }));
        Assert.True(await HoldsAsync(new Compare { Key = Say.Bytes("a"), Target = Compare.Types.CompareTarget.Version, Version = 2 }));
        Assert.True(await HoldsAsync(new Compare { Key = Say.Bytes("x"), Target = Compare.Types.CompareTarget.Version, Value = Say.Bytes("2") }));
        Assert.False(await HoldsAsync(new Compare { Key = Say.Bytes("x"), Target = Compare.Types.CompareTarget.Value, Result = Compare.Types.CompareResult.NotEqual, Value = Say.Bytes("2") }));
        Assert.True(await HoldsAsync(new Compare { Key = Say.Bytes("a"), Target = Compare.Types.CompareTarget.Value, Result = Compare.Types.CompareResult.NotEqual, Version = 7 }));

        async Task<bool> HoldsAsync(Compare compare)
        {
            var txn = new TxnRequest();
            txn.Compare.Add(compare);
            return (await node.CallAsync<TxnResponse>(Say.Txn, txn)).Succeeded;
        }
    }

    [Fact]
    public async Task A_compaction_keeps_its_own_revision_readable()
    {
        await using EtcdNode node = await FilledAsync();
        CompactionResponse compacted = await node.CallAsync<CompactionResponse>(Say.Compact, new CompactionRequest { Revision = 4, Physical = true });
        Assert.Equal(6, compacted.Header.Revision);
        Assert.Equal("@6 count 3 a=2(c2 m2 v1) b=1(c3 m3 v1) c=1(c4 m4 v1)", await RangeAsync(node, With(range => range.Revision = 4)));
        Assert.Equal("OutOfRange: etcdserver: mvcc: required revision has been compacted", await node.FailsAsync(Say.Range, With(range => range.Revision = 3)));
    }

    private static RangeRequest With(Action<RangeRequest> change)
    {
        RangeRequest request = Say.All;
        change(request);
        return request;
    }

    private static async Task<string> RangeAsync(EtcdNode node, RangeRequest request) => Say.Text(await node.CallAsync<RangeResponse>(Say.Range, request));

    /// <summary>a at 2 and 5, b at 3, c at 4 and 6.</summary>
    private static async Task<EtcdNode> FilledAsync()
    {
        var node = new EtcdNode();
        foreach ((string key, string value) in ((string, string)[])[("a", "2"), ("b", "1"), ("c", "1"), ("a", "3"), ("c", "2")])
        {
            await node.CallAsync<PutResponse>(Say.Put, Say.PutOf(key, value));
        }

        return node;
    }
}
