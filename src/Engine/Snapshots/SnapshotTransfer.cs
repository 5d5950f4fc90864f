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

    internal enum Patience
    {
        Wait,
        Resend,
        GiveUp,
    }

    public NodeId Peer => peer;

    public SnapshotInfo Info => info;

    public bool IsComplete => _acknowledged == _length;

    public SnapshotEvent NextChunk()
    {
        var chunk = new byte[Math.Min((ulong)options.ChunkBytes, _length - _acknowledged)];
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
        _idleTicks++;
        if (_idleTicks >= options.GiveUpTicks)
        {
            return Patience.GiveUp;
        }

        return _idleTicks % options.ResendTicks == 0 ? Patience.Resend : Patience.Wait;
    }

    public void Dispose() => file?.Dispose();
}
