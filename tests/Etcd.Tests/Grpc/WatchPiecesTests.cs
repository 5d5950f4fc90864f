using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Tests.Grpc;

/// <summary>Large responses of watches, which go out piece by piece.</summary>
public class WatchPiecesTests
{
    [Fact]
    public void ThePieces_AreTheMessage()
    {
        foreach (WatchResponse response in Responses())
        {
            var whole = new ArrayBufferWriter<byte>();
            foreach (ReadOnlyMemory<byte> piece in WatchPieces.Of(response))
            {
                whole.Write(piece.Span);
            }

            Assert.Equal(response, WatchResponse.Parser.ParseFrom(whole.WrittenSpan));
            Assert.Equal(response.CalculateSize(), whole.WrittenCount);
        }
    }

    [Fact]
    public void KeysAndValues_AreNotCopied()
    {
        WatchResponse response = Responses().Last();
        ByteString[] shared = [.. response.Events.SelectMany(e => new[] { e.Kv, e.PrevKv }).SelectMany(pair => new[] { pair.Key, pair.Value })];

        int copied = WatchPieces.Of(response).Where(piece => !shared.Any(bytes => piece.Equals(bytes.Memory))).Sum(piece => piece.Length);

        Assert.True(copied < 200 * response.Events.Count, $"{copied} bytes are copies");
    }

    [Fact]
    public async Task OfALargeResponse_NoMoreThanAPieceWaitsForWhoDoesNotRead()
    {
        const int PieceBytes = 64 << 10;
        WatchResponse response = Responses().Last();
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: PieceBytes, resumeWriterThreshold: PieceBytes, useSynchronizationContext: false));
        var call = new GrpcCall(Features(pipe.Writer), new HttpRequestFeature(), new UnreadAnswers(1 << 20), CancellationToken.None);
        call.Read(new Pipe().Reader, WatchRequest.Parser, 1 << 20, new RpcCounters());
        Task writing = ((IRpcWriter<IMessage>)call).WriteAsync(response, CancellationToken.None).AsTask();
        var received = new ArrayBufferWriter<byte>();
        while (received.WrittenCount < MessageFrame.PrefixBytes + response.CalculateSize())
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            Assert.InRange(result.Buffer.Length, 1, PieceBytes + MessageFrame.PrefixBytes);
            foreach (ReadOnlyMemory<byte> part in result.Buffer)
            {
                received.Write(part.Span);
            }

            pipe.Reader.AdvanceTo(result.Buffer.End);
        }

        await writing;
        var all = new ReadOnlySequence<byte>(received.WrittenMemory);
        Assert.True(MessageFrame.TryTake(ref all, int.MaxValue, out ReadOnlySequence<byte> message));
        Assert.Equal(response, WatchResponse.Parser.ParseFrom(message));
        Assert.True(all.IsEmpty);
    }

    private static FeatureCollection Features(PipeWriter output)
    {
        var features = new FeatureCollection();
        features.Set<IHttpRequestLifetimeFeature>(new HttpRequestLifetimeFeature());
        features.Set<IHttpResponseFeature>(new HttpResponseFeature());
        features.Set<IHttpResponseBodyFeature>(new Body(output));
        return features;
    }

    private static IEnumerable<WatchResponse> Responses()
    {
        var random = new Random(7);
        yield return new WatchResponse();
        yield return new WatchResponse { Header = new ResponseHeader { Revision = long.MaxValue, ClusterId = ulong.MaxValue }, WatchId = -1, Canceled = true, CancelReason = "é", CompactRevision = 9 };
        yield return new WatchResponse { WatchId = 3, Created = true, Fragment = true, Events = { new Event(), new Event { Type = Event.Types.EventType.Delete, Kv = new KeyValue() } } };
        var large = new WatchResponse { Header = new ResponseHeader { Revision = 77 }, WatchId = 12 };
        for (int i = 0; i < 3; i++)
        {
            large.Events.Add(new Event { Kv = Pair(random), PrevKv = Pair(random) });
        }

        yield return large;
    }

    private static KeyValue Pair(Random random)
    {
        byte[] key = new byte[100_000];
        byte[] value = new byte[1_400_000 + random.Next(100)];
        random.NextBytes(key);
        random.NextBytes(value);
        return new KeyValue { Key = UnsafeByteOperations.UnsafeWrap(key), Value = UnsafeByteOperations.UnsafeWrap(value), CreateRevision = 1, ModRevision = 300, Version = 2, Lease = -4 };
    }

    private sealed class Body(PipeWriter writer) : IHttpResponseBodyFeature
    {
        public Stream Stream => Stream.Null;

        public PipeWriter Writer => writer;

        public void DisableBuffering()
        {
            // It does not.
        }

        public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task CompleteAsync() => Task.CompletedTask;
    }
}
