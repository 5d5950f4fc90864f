using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>Answers to a range in parts of a key and 256 KiB each; from one of them on they fail.</summary>
internal sealed class ManyParts(int partsMax, int failAt)
{
    public const long ValueBytes = 256 << 10;

    private static readonly ByteString s_value = ByteString.CopyFrom(new byte[ValueBytes]);

    private int _made = 1;

    public RpcMethod Method => RpcMethod.UnaryInParts("/etcdserverpb.KV/Range", RangeRequest.Parser, (_, _) => ValueTask.FromResult(Answer()));

    /// <summary>Parts that were made so far.</summary>
    public int Made => Volatile.Read(ref _made);

    public RangeResponse Merged()
    {
        RangeResponse first = First();
        for (int i = 1; i < partsMax; i++)
        {
            first.MergeFrom(Part(i));
        }

        return first;
    }

    private RpcAnswer Answer() => new(First(), First().CalculateSize() + Enumerable.Range(1, partsMax - 1).Sum(i => (long)Part(i).CalculateSize()), RestAsync());

    private RangeResponse First()
    {
        RangeResponse first = Part(0);
        first.Header = new ResponseHeader { Revision = 5 };
        first.Count = partsMax;
        return first;
    }

    private static RangeResponse Part(int number) => new() { Kvs = { new KeyValue { Key = ByteString.CopyFromUtf8($"{number}"), Value = s_value } } };

    private async IAsyncEnumerable<IMessage> RestAsync()
    {
        for (int i = 1; i < partsMax; i++)
        {
            if (i >= failAt)
            {
                throw new RpcException(StatusCode.OutOfRange, "gone");
            }

            await Task.Yield();
            Interlocked.Increment(ref _made);
            yield return Part(i);
        }
    }
}
