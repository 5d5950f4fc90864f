using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Tests.Gateway;

/// <summary>Messages and JSON, without a connection.</summary>
public class JsonPartsTests
{
    [Fact]
    public void NumbersOf64Bits_AreText_BytesAreBase64_AndDefaultsAreLeftOut()
    {
        var answer = new RangeResponse
        {
            Header = new ResponseHeader { ClusterId = ulong.MaxValue, Revision = -1 },
            Kvs = { new KeyValue { Key = ByteString.CopyFromUtf8("foo"), Version = 1 }, new KeyValue() },
            More = true,
        };

        Assert.Equal(
            """{"header":{"cluster_id":"18446744073709551615","revision":"-1"},"kvs":[{"key":"Zm9v","version":"1"},{}],"more":true}""",
            Json(output => JsonAnswers.WriteMessage(output, answer)));
    }

    [Fact]
    public void Names_AreThoseOfEtcd_EnumsGoByName_AndSmallNumbersAreNumbers()
    {
        var alarms = new AlarmResponse { Alarms = { new AlarmMember { MemberID = 1, Alarm = AlarmType.Nospace }, new AlarmMember { Alarm = (AlarmType)9 } } };
        var status = new StatusResponse { DbSize = 1, RaftAppliedIndex = 2, IsLearner = true, Errors = { "a\"b<ü" } };

        Assert.Equal("""{"alarms":[{"memberID":"1","alarm":"NOSPACE"},{"alarm":9}]}""", Json(output => JsonAnswers.WriteMessage(output, alarms)));
        Assert.Equal("""{"dbSize":"1","raftAppliedIndex":"2","errors":["a\"b<ü"],"isLearner":true}""", Json(output => JsonAnswers.WriteMessage(output, status)));
        Assert.Equal("""{"hash":7}""", Json(output => JsonAnswers.WriteMessage(output, new HashResponse { Hash = 7 })));
    }

    [Fact]
    public void AChoice_IsToldEvenWhereItIsEmpty()
    {
        var compare = new Compare { Version = 0 };
        var answer = new TxnResponse { Responses = { new ResponseOp { ResponsePut = new PutResponse() } } };

        Assert.Equal("""{"version":"0"}""", Json(output => JsonAnswers.WriteMessage(output, compare)));
        Assert.Equal("""{"responses":[{"response_put":{}}]}""", Json(output => JsonAnswers.WriteMessage(output, answer)));
    }

    [Theory]
    [InlineData("""{"ID":7587885642180021234}""", """{"ID":"7587885642180021234"}""")]
    [InlineData("""{"ID":-9223372036854775808,"TTL":100}""", """{"ID":"-9223372036854775808","TTL":100}""")]
    [InlineData("""[1234567890123456,123456789012345,1234567890123456]""", """["1234567890123456",123456789012345,"1234567890123456"]""")]
    [InlineData("""{"a":"1234567890123456","b\"1234567890123456":1.234567890123456,"c":1e100}""", null)]
    [InlineData("""{"a":"1234567890123456""", null)]
    [InlineData("""{"a":"\""", null)]
    [InlineData("", null)]
    public void WholeNumbersThatAFractionOf64BitsDoesNotHold_BecomeText(string json, string? quoted) => Assert.Equal(quoted ?? json, JsonNumbers.QuoteLong(json));

    [Fact]
    public async Task NumbersOf64Bits_KeepEachDigit()
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync("""{"ID":7587885642180021234}"""u8.ToArray());
        await pipe.Writer.CompleteAsync();

        Assert.Equal(new LeaseKeepAliveRequest { ID = 7587885642180021234 }, await Requests(pipe.Reader, LeaseKeepAliveRequest.Parser).ReadOnlyOneAsync(CancellationToken.None));
    }

    [Fact]
    public void Errors_HaveTheFieldsOfOldAndNewGateways()
    {
        Assert.Equal("""{"error":"no","message":"no","code":5}""", Json(output => JsonAnswers.WriteError(output, StatusCode.NotFound, "no")));
        Assert.Equal(
            """{"error":{"grpc_code":5,"http_code":404,"message":"no","http_status":"Not Found","code":5}}""" + "\n",
            Json(output => JsonAnswers.WriteStreamError(output, StatusCode.NotFound, "no")));
        Assert.Equal("""{"result":{"ID":"5"}}""" + "\n", Json(output => JsonAnswers.WriteResult(output, new LeaseKeepAliveResponse { ID = 5 })));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"nobody":{"knows":[1,2]}}""")]
    [InlineData("null")]
    [InlineData(" null\r\n\t")]
    public async Task AnEmptyBody_IsAnEmptyMessage(string body) => Assert.Equal(new RangeRequest(), await ReadOneAsync(body));

    [Theory]
    [InlineData("""{"key":"Zm9v","range_end":"Zm9w","limit":"5","sort_order":"DESCEND","sort_target":1,"keys_only":true}""")]
    [InlineData("""{"key":"Zm9v","rangeEnd":"Zm9w","limit":5,"sortOrder":2,"sortTarget":"VERSION","keysOnly":true}""")]
    public async Task NamesAndNumbers_MayBeWrittenInEitherWay(string body)
    {
        var expected = new RangeRequest
        {
            Key = ByteString.CopyFromUtf8("foo"),
            RangeEnd = ByteString.CopyFromUtf8("fop"),
            Limit = 5,
            SortOrder = RangeRequest.Types.SortOrder.Descend,
            SortTarget = RangeRequest.Types.SortTarget.Version,
            KeysOnly = true,
        };

        Assert.Equal(expected, await ReadOneAsync(body));
    }

    [Theory]
    [InlineData("{\"key\":")]
    [InlineData("{\"key\":\"%%\"}")]
    [InlineData("{\"limit\":\"many\"}")]
    [InlineData("{\"limit\":99999999999999999999}")]
    [InlineData("[1]")]
    [InlineData("7")]
    [InlineData("{\"key\":\"\u00ff\"}")]
    [InlineData("{} {}")]
    [InlineData("nul")]
    [InlineData("nulL")]
    [InlineData("null null")]
    [InlineData("nullx")]
    [InlineData("\"null\"")]
    public async Task WhatIsNoJson_OrNotOfThisMessage_IsRefused(string body) =>
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => ReadOneAsync(body))).Code);

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{\"a\":", "}")]
    [InlineData("{\"\\\"{\":", "}")]
    public async Task WhatIsDeeperThanEtcdTakesIt_IsRefused_InItsWords(string open, string close)
    {
        const int Most = 10_000;
        string words = $"invalid character '{open[0]}' exceeded max depth";

        Assert.Equal(new RangeRequest { Limit = 7 }, await ReadOneAsync(Nested(Most)));
        Assert.Equal(new LeaseKeepAliveRequest(), await Requests(Body(Nested(Most)), LeaseKeepAliveRequest.Parser).ReadAsync(CancellationToken.None));
        await AssertRefusedAsync(Nested(Most + 1));
        await AssertRefusedAsync(Repeated(open, 100_000)); // that has no end, either

        string Nested(int depth) => $"{{\"limit\":7,\"nobody\":{Repeated(open, depth - 1)}0{Repeated(close, depth - 1)}}}";

        static string Repeated(string text, int times) => string.Concat(Enumerable.Repeat(text, times));

        async Task AssertRefusedAsync(string body)
        {
            var unary = await Assert.ThrowsAsync<RpcException>(() => ReadOneAsync(body));
            var stream = await Assert.ThrowsAsync<RpcException>(() => Requests(Body(body), LeaseKeepAliveRequest.Parser).ReadAsync(CancellationToken.None).AsTask());
            Assert.Equal((StatusCode.InvalidArgument, words), (unary.Code, unary.Message));
            Assert.Equal((StatusCode.InvalidArgument, words), (stream.Code, stream.Message));
        }
    }

    [Fact]
    public async Task ABodyThatIsTooLarge_IsRefused_BeforeItIsAllThere()
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        JsonRequests requests = Requests(pipe.Reader, messageBytesMax: 100);
        await pipe.Writer.WriteAsync(new byte[201]);

        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(() => requests.ReadOnlyOneAsync(CancellationToken.None).AsTask().WaitAsync(Support.Patience))).Code);
    }

    [Fact]
    public async Task AMessageThatIsTooLarge_IsRefused_ThoughItsJsonIsNot()
    {
        string body = $$"""{"key":"{{Convert.ToBase64String(new byte[101])}}"}""";

        var refused = await Assert.ThrowsAsync<RpcException>(() => ReadOneAsync(body, messageBytesMax: 100));

        Assert.Equal((StatusCode.ResourceExhausted, "grpc: received message larger than max (103 vs. 100)"), (refused.Code, refused.Message));
    }

    [Theory]
    [InlineData("""{"ID":1}{"ID":"2"}""")]
    [InlineData(" {\"ID\":1}\n\n{\"ID\":2}\r\n ")]
    [InlineData("null{\"ID\":1}null null\n{\"ID\":2}null")]
    public async Task ManyMessages_MayStandBehindEachOther_HoweverTheyCome(string body)
    {
        var pipe = new Pipe();
        JsonRequests requests = Requests(pipe.Reader, LeaseKeepAliveRequest.Parser);
        var read = new List<long>();
        Task reading = ReadAllAsync();

        foreach (byte value in Encoding.UTF8.GetBytes(body))
        {
            await pipe.Writer.WriteAsync(new[] { value });
        }

        await pipe.Writer.CompleteAsync();
        await reading.WaitAsync(Support.Patience);
        Assert.Equal([1, 2], read.Where(id => id != 0));
        Assert.Equal(body.Split("null").Length - 1, read.Count(id => id == 0));

        async Task ReadAllAsync()
        {
            while (await requests.ReadAsync(CancellationToken.None) is LeaseKeepAliveRequest request)
            {
                read.Add(request.ID);
            }
        }
    }

    [Fact]
    public async Task AMessageThatComesByteByByte_EndsWhereItEnds()
    {
        byte[] body = Encoding.UTF8.GetBytes($"{{\"nobody\":\"{new string('x', 1000)}\\\"}}\",\"ID\":7}} ");
        var boundary = new JsonBoundary();
        var last = new Piece(ReadOnlyMemory<byte>.Empty, null);
        Piece first = last;
        for (int at = 0; at < body.Length - 1; at++)
        {
            last = new Piece(body.AsMemory(at, 1), last);
            Assert.Equal(at < body.Length - 2 ? 0 : body.Length - 1, boundary.Measure(new ReadOnlySequence<byte>(first, 0, last, 1)));
        }

        Assert.False(boundary.HasBegun);
        Assert.Equal(new LeaseKeepAliveRequest { ID = 7 }, await Requests(PipeReader.Create(new ReadOnlySequence<byte>(body)), LeaseKeepAliveRequest.Parser).ReadAsync(CancellationToken.None));
    }

    [Theory]
    [InlineData("{\"ID\":1")]
    [InlineData("}")]
    [InlineData("{\"ID\"7}")]
    [InlineData("nul")]
    [InlineData("nulx")]
    [InlineData("true")]
    public async Task AStreamThatBreaksOff_IsRefused(string body)
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(body));
        await pipe.Writer.CompleteAsync();

        var refused = await Assert.ThrowsAsync<RpcException>(() => Requests(pipe.Reader, LeaseKeepAliveRequest.Parser).ReadAsync(CancellationToken.None).AsTask());

        Assert.Equal(StatusCode.InvalidArgument, refused.Code);
    }

    [Fact]
    public void EachRoute_LeadsToAMethodThatThereIs_AndEachMethodHasOne()
    {
        var declared = new[] { RpcReflection.Descriptor, LockReflection, ElectionReflection }
            .SelectMany(file => file.Services).SelectMany(service => service.Methods.Select(method => $"/{service.FullName}/{method.Name}")).ToHashSet();

        Assert.Equal(declared.Order(), GatewayRoutes.All.Select(route => route.Method).Distinct().Order());
        Assert.Equal(GatewayRoutes.All.Count, GatewayRoutes.All.Select(route => route.Path).Distinct().Count());
    }

    private static Google.Protobuf.Reflection.FileDescriptor LockReflection => MetaStore.Etcd.Messages.Locking.LockReflection.Descriptor;

    private static Google.Protobuf.Reflection.FileDescriptor ElectionReflection => MetaStore.Etcd.Messages.Elections.ElectionReflection.Descriptor;

    private static string Json(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static JsonRequests Requests(PipeReader body, MessageParser<LeaseKeepAliveRequest> parser) =>
        new(body, new ServedMethod(RpcMethod.Duplex<LeaseKeepAliveRequest, LeaseKeepAliveResponse>("/a/b", parser, (_, _, _) => Task.CompletedTask), new RpcCounters()), LeaseKeepAliveRequest.Descriptor, 1 << 20);

    private static JsonRequests Requests(PipeReader body, int messageBytesMax) =>
        new(body, new ServedMethod(RpcMethod.Unary<RangeRequest, RangeResponse>("/a/b", RangeRequest.Parser, (_, _) => default), new RpcCounters()), RangeRequest.Descriptor, messageBytesMax);

    private static async Task<RangeRequest> ReadOneAsync(string body, int messageBytesMax = 1 << 20)
    {
        return (RangeRequest)await Requests(Body(body), messageBytesMax).ReadOnlyOneAsync(CancellationToken.None);
    }

    private static PipeReader Body(string text) => PipeReader.Create(new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(text)));

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, Piece? before)
        {
            Memory = memory;
            if (before is not null)
            {
                RunningIndex = before.RunningIndex + before.Memory.Length;
                before.Next = this;
            }
        }
    }
}
