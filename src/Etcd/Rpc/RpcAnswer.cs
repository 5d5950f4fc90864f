using Google.Protobuf;

namespace MetaStore.Etcd.Rpc;

/// <summary>
/// The answer to a call of one answer: a message; or, where that would be too large to be held, its parts, of which one is in memory at a time. Merged, the parts are the
/// message, and so are their encodings, one behind the other.
/// </summary>
/// <param name="First">The message, or its first part: the only one that has any other field than the last repeated one.</param>
/// <param name="Length">Bytes of all parts, encoded; 0 where there is one message.</param>
/// <param name="Rest">The other parts. They are made while they are read, and can be read once. Null where there is one message.</param>
internal readonly record struct RpcAnswer(IMessage First, long Length = 0, IAsyncEnumerable<IMessage>? Rest = null)
{
    /// <summary>The parts as one message, whatever memory that takes.</summary>
    public async ValueTask<IMessage> MergeAsync()
    {
        if (Rest is not null)
        {
            await foreach (IMessage part in Rest.ConfigureAwait(false))
            {
                First.MergeFrom(part.ToByteString());
            }
        }

        return First;
    }
}
