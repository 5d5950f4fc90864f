using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Tests.Grpc;

/// <summary>Prefixes, deadlines and statuses, without a connection.</summary>
public class GrpcPartsTests
{
    [Theory]
    [InlineData("1H", 36_000_000_000)]
    [InlineData("2M", 1_200_000_000)]
    [InlineData("3S", 30_000_000)]
    [InlineData("4m", 40_000)]
    [InlineData("5u", 50)]
    [InlineData("1n", 1)]
    [InlineData("200n", 2)]
    [InlineData("0n", 0)]
    [InlineData("99999999H", 99_999_999 * 36_000_000_000)]
    public void ADeadline_HasAUnit(string text, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(text, out TimeSpan timeout));
        Assert.Equal(ticks, timeout.Ticks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("S")]
    [InlineData("5s")]
    [InlineData("-5S")]
    [InlineData("+5S")]
    [InlineData(" 5S")]
    [InlineData("1.5S")]
    [InlineData("123456789S")]
    [InlineData("5\0S")]
    public void WhatIsNoDeadline_IsRefused(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Theory]
    [InlineData("etcdserver: key is not provided", "etcdserver: key is not provided")]
    [InlineData("100%", "100%25")]
    [InlineData("a\nb\0", "a%0Ab%00")]
    [InlineData("~ \u007f", "~ %7F")]
    [InlineData("größe", "gr%C3%B6%C3%9Fe")]
    [InlineData("", "")]
    public void AMessage_GoesThroughAHeader(string message, string header) => Assert.Equal(header, GrpcStatusText.Encode(message));

    [Fact]
    public void EachCode_HasItsNumber() =>
        Assert.Equal(Enumerable.Range(0, 17).Select(number => number.ToString()), Enum.GetValues<StatusCode>().Select(GrpcStatusText.Number));

    [Fact]
    public void AMessage_IsFramedAsGrpcHasIt() =>
        Assert.Equal("0000000005" + "0A03" + "666F6F", Convert.ToHexString(Frame(new RangeRequest { Key = ByteString.CopyFromUtf8("foo") })));

    [Fact]
    public void AMessage_IsTakenOnceItIsThere_AndNothingBehindIt()
    {
        byte[] bytes = [.. Frame(new RangeRequest { Key = ByteString.CopyFromUtf8("foo") }), 0xff];
        for (int length = 0; length <= bytes.Length; length++)
        {
            var buffer = new ReadOnlySequence<byte>(bytes, 0, length);
            bool isWhole = MessageFrame.TryTake(ref buffer, 5, out ReadOnlySequence<byte> message);

            Assert.Equal(length >= 10, isWhole);
            Assert.Equal(isWhole ? length - 10 : length, buffer.Length);
            Assert.Equal(isWhole ? "0A03666F6F" : "", Convert.ToHexString(message.ToArray()));
        }
    }

    [Fact]
    public void AMessageThatIsTooLarge_IsRefusedByItsPrefix()
    {
        var buffer = new ReadOnlySequence<byte>([0, 0x00, 0x20, 0x00, 0x01]);

        var refused = Assert.Throws<RpcException>(() => MessageFrame.TryTake(ref buffer, 2 << 20, out _));

        Assert.Equal(StatusCode.ResourceExhausted, refused.Code);
        Assert.Equal("grpc: received message larger than max (2097153 vs. 2097152)", refused.Message);
    }

    [Fact]
    public void ALengthOfFourGigabytes_IsNoNegativeNumber()
    {
        var buffer = new ReadOnlySequence<byte>([0, 0xff, 0xff, 0xff, 0xff]);

        Assert.Equal("grpc: received message larger than max (4294967295 vs. 10)", Assert.Throws<RpcException>(() => MessageFrame.TryTake(ref buffer, 10, out _)).Message);
    }

    [Theory]
    [InlineData(1, "grpc: compressed flag set with identity or empty encoding")]
    [InlineData(2, "grpc: received unexpected payload format 2")]
    public void AFlagOtherThanNone_IsRefused(byte flag, string message)
    {
        var buffer = new ReadOnlySequence<byte>([flag, 0, 0, 0, 0]);

        var refused = Assert.Throws<RpcException>(() => MessageFrame.TryTake(ref buffer, 10, out _));

        Assert.Equal((StatusCode.Internal, message), (refused.Code, refused.Message));
    }

    [Theory]
    [InlineData("12FFFFFFFF07")]
    [InlineData("0A02080112FFFFFFFF07")]
    [InlineData("12061A04FFFFFFFF")]
    public async Task ALengthInsideThatNothingHolds_IsTheMessagesFault(string body)
    {
        byte[] message = Convert.FromHexString(body);
        var reader = new MessageReader(
            PipeReader.Create(new ReadOnlySequence<byte>([0, 0, 0, 0, (byte)message.Length, .. message])), TxnRequest.Parser, 1000, new RpcCounters());

        var refused = await Assert.ThrowsAsync<RpcException>(() => reader.ReadAsync(CancellationToken.None).AsTask());

        Assert.Equal(StatusCode.Internal, refused.Code);
        Assert.StartsWith("grpc: error unmarshalling request: ", refused.Message, StringComparison.Ordinal);
    }

    private static byte[] Frame(IMessage message)
    {
        var output = new ArrayBufferWriter<byte>();
        MessageFrame.Write(output, message, message.CalculateSize());
        return output.WrittenSpan.ToArray();
    }
}
