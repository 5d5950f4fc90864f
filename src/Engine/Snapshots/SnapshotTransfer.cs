using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// One snapshot on its way to one peer: one piece at a time, resumed from what the peer says it holds. Without a file it is one for a witness,
/// a single piece without a body.
/// </summary>
internal sealed class SnapshotTransfer(NodeId peer, SnapshotInfo info, IDiskFile? file, SnapshotOptions options) : IDisposable
{
    private readonly ulong _length = (ulong)(file?.Length ?? 0);
    private ulong _acknowledged;
    private int _idleTicks;
    private int _putByTicks;
    private bool _awaitsBytes;

    /// <summary>A transfer is put by for so many times as long as it waited for its peer before.</summary>
    private const int PutByTimes = 10;

    internal enum Patience
    {
        Wait,
        Resend,
        GiveUp,
    }

    public NodeId Peer => peer;

    public SnapshotInfo Info => info;

    public bool IsComplete => _acknowledged == _length;

    /// <summary>Bytes of the piece that is next.</summary>
    public long NextLength => (long)Math.Min((ulong)options.ChunkBytes, _length - _acknowledged);

    /// <summary>The next piece is to be sent as soon as the node may send so much. False: it waits for that already.</summary>
    public bool TryAwaitBytes()
    {
        bool isNew = !_awaitsBytes;
        _awaitsBytes = true;
        return isNew;
    }

    /// <summary>It waits no longer, and nothing was sent.</summary>
    public void StopAwaitingBytes() => _awaitsBytes = false;

    public SnapshotEvent NextChunk()
    {
        _awaitsBytes = false;
        var chunk = new byte[NextLength];
        int read = file?.Read(chunk, (long)_acknowledged) ?? 0;
        Invariant.Check(read == chunk.Length, $"{file?.Path} ends at {_acknowledged + (ulong)read}, before its length {_length}");
        return new SnapshotEvent.ChunkToSend(peer, info, _acknowledged, _length, chunk);
    }

    /// <summary>
    /// The peer holds so many bytes; true where that is news, so that an answer that arrives twice sends nothing twice. To a piece without a
    /// body there is one answer, and it is news.
    /// </summary>
    public bool Acknowledge(ulong held)
    {
        if ((held == _acknowledged && _length > 0) || held > _length)
        {
            return false;
        }

        _acknowledged = held;
        _idleTicks = 0;
        return true;
    }

    public Patience Tick()
    {
        if (_awaitsBytes)
        {
            return Patience.Wait; // It is this node that keeps the peer waiting.
        }

        _idleTicks++;
        if (_idleTicks >= options.GiveUpTicks)
        {
            return Patience.GiveUp;
        }

        return _idleTicks % options.ResendTicks == 0 ? Patience.Resend : Patience.Wait;
    }

    /// <summary>The peer is there again.</summary>
    public void Resume()
    {
        _idleTicks = 0;
        _putByTicks = 0;
    }

    /// <summary>One tick while it is put by. True: that has been long enough.</summary>
    public bool TickPutBy() => ++_putByTicks >= PutByTimes * options.GiveUpTicks;

    public void Dispose() => file?.Dispose();
}
