using System.Threading.Channels;
using MetaStore.Engine;

namespace MetaStore.Net.Client;

/// <summary>A watch on one connection: what has come of it and was not taken yet, which its credit bounds. One reader.</summary>
internal sealed class ClientWatch(ClientWatches owner, ulong correlation, int window)
{
    private readonly Channel<(WatchResponse Response, int Bytes)> _came = Channel.CreateUnbounded<(WatchResponse, int)>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = false });

    private int _taken; // the reader's

    public ulong Correlation { get; } = correlation;

    public void Put(WatchResponse response, int bytes) => _came.Writer.TryWrite((response, bytes));

    /// <summary>Nothing more will come but this.</summary>
    public void End(MetaStoreException reason) => _came.Writer.TryComplete(reason);

    /// <summary>The next response.</summary>
    /// <exception cref="MetaStoreException">Why none will come.</exception>
    public async ValueTask<WatchResponse> NextAsync(CancellationToken cancellationToken)
    {
        (WatchResponse Response, int Bytes) next;
        while (!_came.Reader.TryRead(out next))
        {
            // Ends with the reason, if one was given, once all that came has been taken.
            await _came.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
        }

        // Half the window at a time: the node need not wait for the word, and is not told of every event.
        _taken += next.Bytes;
        if (_taken >= window / 2)
        {
            owner.Grant(this, (uint)_taken);
            _taken = 0;
        }

        return next.Response;
    }

    public void Leave() => owner.Leave(this);
}
