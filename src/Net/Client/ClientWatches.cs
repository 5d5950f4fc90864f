using System.IO.Pipelines;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Client;

/// <summary>A frame of a watch on its way to the socket.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Request">Of a Watch: what is asked for.</param>
/// <param name="Credit">Of a Watch and a WatchCredit: how many bytes more may come.</param>
internal sealed record WatchFrame(FrameKind Kind, WatchRequest? Request, uint Credit)
{
    public void Write(PipeWriter output, ulong correlation)
    {
        switch (Kind)
        {
            case FrameKind.Watch:
                FrameOutput.WriteWatch(output, correlation, Request!, Credit);
                break;
            case FrameKind.WatchCredit:
                FrameOutput.WriteWatchCredit(output, correlation, Credit);
                break;
            default:
                FrameOutput.WriteEmpty(output, correlation, FrameKind.WatchCancel);
                break;
        }
    }
}

/// <summary>The watches of one connection. Their correlations have the highest bit set, which those of requests never have.</summary>
/// <param name="window">Bytes that the node may send ahead of a watch's reader.</param>
/// <param name="send">Queues a frame to be written; false where nothing is written any more.</param>
internal sealed class ClientWatches(int window, Func<Outgoing, bool> send)
{
    private const ulong Mark = 1UL << 63;

    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, ClientWatch> _watches = [];
    private MetaStoreException? _end;
    private ulong _last = Mark;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _watches.Count;
            }
        }
    }

    public static bool IsOfWatch(ulong correlation) => (correlation & Mark) != 0;

    /// <exception cref="MetaStoreException">The connection has ended, or is about to.</exception>
    public ClientWatch Open(WatchRequest request)
    {
        ClientWatch watch;
        lock (_gate)
        {
            if (_end is not null)
            {
                throw _end;
            }

            watch = new ClientWatch(this, ++_last, window);
            _watches.Add(watch.Correlation, watch);
        }

        send(new Outgoing(null, watch.Correlation, new WatchFrame(FrameKind.Watch, request, (uint)window)));
        return watch;
    }

    /// <summary>A frame for a watch came. One that nobody looks at any more is passed over.</summary>
    /// <exception cref="WireFormatException">It is not what its kind says.</exception>
    public void Handle(in FrameHeader header, ReadOnlyMemory<byte> body)
    {
        ClientWatch? watch;
        lock (_gate)
        {
            _watches.TryGetValue(header.Correlation, out watch);
        }

        if (watch is null)
        {
            return;
        }

        if (header.Kind == FrameKind.Error)
        {
            End(watch, NoticeCodec.ReadError(body));
            return;
        }

        if (header.Kind != FrameKind.WatchAnswer)
        {
            throw new WireFormatException($"A watch was answered with kind 0x{(byte)header.Kind:x2}.");
        }

        try
        {
            watch.Put(WatchCodec.ReadResponse(body), body.Length);
        }
        catch (CompactedException compacted)
        {
            End(watch, compacted);
        }
    }

    /// <summary>The reader of a watch has taken so much: the node may send as much again.</summary>
    public void Grant(ClientWatch watch, uint bytes) => send(new Outgoing(null, watch.Correlation, new WatchFrame(FrameKind.WatchCredit, null, bytes)));

    /// <summary>Nobody looks at the watch any more.</summary>
    public void Leave(ClientWatch watch)
    {
        bool isOpen;
        lock (_gate)
        {
            isOpen = _watches.Remove(watch.Correlation);
        }

        if (isOpen)
        {
            send(new Outgoing(null, watch.Correlation, new WatchFrame(FrameKind.WatchCancel, null, 0)));
        }
    }

    /// <summary>Ends all watches, each behind what has come of it, and lets none begin.</summary>
    public void Close(MetaStoreException reason)
    {
        ClientWatch[] watches;
        lock (_gate)
        {
            _end ??= reason;
            watches = [.. _watches.Values];
            _watches.Clear();
        }

        foreach (ClientWatch watch in watches)
        {
            watch.End(reason);
        }
    }

    private void End(ClientWatch watch, MetaStoreException reason)
    {
        lock (_gate)
        {
            _watches.Remove(watch.Correlation);
        }

        watch.End(reason);
    }
}
