using System.Threading.Channels;
using MetaStore.Engine;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Client;

/// <summary>Something on one connection that has answers without end, or many: a watch, a snapshot.</summary>
internal abstract class ClientStream(ulong correlation, FrameKind answers)
{
    public ulong Correlation { get; } = correlation;

    /// <summary>The kind of its answers.</summary>
    public FrameKind Answers { get; } = answers;

    /// <summary>An answer came.</summary>
    /// <exception cref="WireFormatException">It is not what its kind says.</exception>
    /// <exception cref="CompactedException">It says that the watch has ended.</exception>
    public abstract void Put(ReadOnlyMemory<byte> body);

    /// <summary>Nothing more will come but this.</summary>
    public abstract void End(MetaStoreException reason);
}

/// <summary>What has come of it and was not taken yet, which its credit bounds. One reader.</summary>
internal sealed class ClientStream<T>(ClientWatches owner, ulong correlation, int window, FrameKind answers, Func<ReadOnlyMemory<byte>, T> read)
    : ClientStream(correlation, answers)
{
    private readonly Channel<(T Answer, int Bytes)> _came = Channel.CreateUnbounded<(T, int)>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = false });

    private int _taken; // the reader's

    public override void Put(ReadOnlyMemory<byte> body) => _came.Writer.TryWrite((read(body), body.Length));

    public override void End(MetaStoreException reason) => _came.Writer.TryComplete(reason);

    /// <summary>The next answer.</summary>
    /// <exception cref="MetaStoreException">Why none will come.</exception>
    public async ValueTask<T> NextAsync(CancellationToken cancellationToken)
    {
        (T Answer, int Bytes) next;
        while (!_came.Reader.TryRead(out next))
        {
            // Ends with the reason, if one was given, once all that came has been taken.
            await _came.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
        }

        // Half the window at a time: the node need not wait for the word, and is not told of every answer.
        _taken += next.Bytes;
        if (_taken >= window / 2)
        {
            owner.Grant(this, (uint)_taken);
            _taken = 0;
        }

        return next.Answer;
    }

    public void Leave() => owner.Leave(this);
}
