using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// Puts a leader's snapshot together. The file becomes visible only when it is whole, verified and durable; then it is loaded. A
/// newer snapshot, or another leader's, starts over; a piece that does not follow is answered with what is held.
/// </summary>
internal sealed class SnapshotAssembly(SnapshotStore files, uint groupId, IForkJoin parts) : IDisposable
{
    private SnapshotReceiver? _receiver;
    private SnapshotInfo? _info;
    private NodeId _from;
    private ulong _length;
    private ulong _completed;

    public IEnumerable<SnapshotEvent> Add(Message piece)
    {
        if (piece.Index.Value == _completed)
        {
            // Whole already: the answer to the last piece was lost.
            yield return Answer(piece, piece.SnapshotLength, reject: false);
            yield break;
        }

        if (piece.SnapshotLength == 0)
        {
            SnapshotEvent.Received hollow = MakeHollow(piece);
            yield return Answer(piece, 0, reject: false);
            yield return hollow;
            yield break;
        }

        if (_receiver is null || _info!.Index != piece.Index.Value || _from != piece.From || _length != piece.SnapshotLength)
        {
            Begin(piece);
        }

        if (piece.ChunkOffset == _receiver!.BytesHeld)
        {
            _receiver.WriteAt(_receiver.BytesHeld, piece.Chunk.Span);
        }

        if (_receiver.BytesHeld < _length)
        {
            yield return Answer(piece, _receiver.BytesHeld, reject: false);
            yield break;
        }

        SnapshotEvent? received = TryComplete();
        yield return Answer(piece, received is null ? 0 : _length, reject: received is null);
        if (received is not null)
        {
            yield return received;
        }
    }

    public void Dispose()
    {
        _receiver?.Dispose();
        _receiver = null;
    }

    private static SnapshotEvent.ChunkAnswer Answer(Message piece, ulong held, bool reject) => new(piece.From, piece.Index, held, reject);

    /// <summary>
    /// What a leader sends a witness: the head alone. The file is the witness's own work, so that its directory is like any other: what the log
    /// begins behind is a snapshot that is there.
    /// </summary>
    private SnapshotEvent.Received MakeHollow(Message piece)
    {
        Dispose();
        var info = new SnapshotInfo(piece.Index.Value, piece.LogTerm.Value, piece.Membership);
        MvccStore store = MvccStore.Hollow(info.Index, info.Term, MembershipCodec.Decode(info.Configuration));
        using SnapshotWriter file = files.Create(groupId, info);
        using var writer = new StoreSnapshotWriter(store, file.Write);
        while (writer.WriteSlice(int.MaxValue))
        {
            // It is one slice.
        }

        file.Complete();
        _completed = info.Index;
        return new SnapshotEvent.Received(info, store);
    }

    private void Begin(Message piece)
    {
        Dispose();
        _info = new SnapshotInfo(piece.Index.Value, piece.LogTerm.Value, piece.Membership);
        _from = piece.From;
        _length = piece.SnapshotLength;
        _receiver = files.Receive(groupId, _info, _length);
    }

    /// <summary>Null where the pieces do not make a sound snapshot: damaged on the way or on either disk. The transfer begins again.</summary>
    private SnapshotEvent.Received? TryComplete()
    {
        SnapshotInfo info = _info!;
        bool isPublished = false;
        try
        {
            _receiver!.Complete();
            isPublished = true;
            Dispose();
            using SnapshotReader reader = files.OpenRead(groupId, info);
            MvccStore store = new StoreSnapshotReader(reader.Read, MembershipCodec.Decode(info.Configuration), parts).Read();
            Invariant.Check(
                KnownBugs.AppliedIndexAheadOfData || store.View.AppliedIndex == info.Index,
                $"a snapshot named {info.Index} holds applied index {store.View.AppliedIndex}");
            _completed = info.Index;
            return new SnapshotEvent.Received(info, store);
        }
        catch (CorruptionException)
        {
            Dispose();
            if (isPublished)
            {
                files.Delete(groupId, info); // A start must not come upon it as the newest one, nor is it to be sent on.
            }

            return null;
        }
        catch (SnapshotFormatException)
        {
            // Of a peer whose release this one does not understand: the node ends and says so, and must be able to start again without it.
            files.Delete(groupId, info);
            throw;
        }
    }
}
