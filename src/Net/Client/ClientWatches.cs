using System.IO.Pipelines;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;

namespace MetaStore.Net.Client;

/// <summary>A frame of a watch or a snapshot on its way to the socket.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Request">Of a Watch: what is asked for.</param>
/// <param name="Credit">Of a Watch, a Snapshot and a WatchCredit: how many bytes more may come.</param>
internal sealed record WatchFrame(FrameKind Kind, WatchRequest? Request, uint Credit)
{
    public void Write(PipeWriter output, ulong correlation)
    {
        switch (Kind)
        {
            case FrameKind.Watch:
                FrameOutput.WriteWatch(output, correlation, Request!, Credit);
                break;
            case FrameKind.Snapshot:
                FrameOutput.WriteSnapshot(output, correlation, Credit);
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

/// <summary>The watches of one connection, and its snapshots. Their correlations have the highest bit set, which those of requests never have.</summary>
/// <param name="window">Bytes that the node may send ahead of a reader.</param>
/// <param name="send">Queues a frame to be written; false where nothing is written any more.</param>
internal sealed class ClientWatches(int window, Func<Outgoing, bool> send)
{
    private const ulong Mark = 1UL << 63;

    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, ClientStream> _streams = [];
    private MetaStoreException? _end;
    private ulong _last = Mark;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _streams.Count;
            }
        }
    }

    public static bool IsOfWatch(ulong correlation) => (correlation & Mark) != 0;

    /// <exception cref="MetaStoreException">The connection has ended, or is about to.</exception>
    public ClientStream<WatchResponse> Open(WatchRequest request) => Open(FrameKind.Watch, request, WatchCodec.ReadResponse);

    /// <exception cref="MetaStoreException">The connection has ended, or is about to.</exception>
    public ClientStream<SnapshotPart> OpenSnapshot() => Open(FrameKind.Snapshot, request: null, SnapshotCodec.ReadPart);

    /// <summary>A frame for a watch came. One that nobody looks at any more is passed over.</summary>
    /// <exception cref="WireFormatException">It is not what its kind says.</exception>
    public void Handle(in FrameHeader header, ReadOnlyMemory<byte> body)
    {
        ClientStream? stream;
        lock (_gate)
        {
            _streams.TryGetValue(header.Correlation, out stream);
        }

        if (stream is null)
        {
            return;
        }

        if (header.Kind == FrameKind.Error)
        {
            End(stream, NoticeCodec.ReadError(body));
            return;
        }

        if (header.Kind != stream.Answers)
        {
            throw new WireFormatException($"Where a frame of kind {stream.Answers} was to come, one of kind 0x{(byte)header.Kind:x2} came.");
        }

        try
        {
            stream.Put(body);
        }
        catch (CompactedException compacted)
        {
            End(stream, compacted);
        }
    }

    /// <summary>The reader has taken so much: the node may send as much again.</summary>
    public void Grant(ClientStream stream, uint bytes) => send(new Outgoing(null, stream.Correlation, new WatchFrame(FrameKind.WatchCredit, null, bytes)));

    /// <summary>Nobody reads it any more.</summary>
    public void Leave(ClientStream stream)
    {
        bool isOpen;
        lock (_gate)
        {
            isOpen = _streams.Remove(stream.Correlation);
        }

        if (isOpen)
        {
            send(new Outgoing(null, stream.Correlation, new WatchFrame(FrameKind.WatchCancel, null, 0)));
        }
    }

    /// <summary>Ends all of them, each behind what has come of it, and lets none begin.</summary>
    public void Close(MetaStoreException reason)
    {
        ClientStream[] streams;
        lock (_gate)
        {
            _end ??= reason;
            streams = [.. _streams.Values];
            _streams.Clear();
        }

        foreach (ClientStream stream in streams)
        {
            stream.End(reason);
        }
    }

    private ClientStream<T> Open<T>(FrameKind kind, WatchRequest? request, Func<ReadOnlyMemory<byte>, T> read)
    {
        ClientStream<T> stream;
        lock (_gate)
        {
            if (_end is not null)
            {
                throw _end;
            }

            stream = new ClientStream<T>(this, ++_last, window, FrameHeader.AnswerTo(kind), read);
            _streams.Add(stream.Correlation, stream);
        }

        send(new Outgoing(null, stream.Correlation, new WatchFrame(kind, request, (uint)window)));
        return stream;
    }

    private void End(ClientStream stream, MetaStoreException reason)
    {
        lock (_gate)
        {
            _streams.Remove(stream.Correlation);
        }

        stream.End(reason);
    }
}
