using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// Gives back the memory of compacted history, a bounded slice at a time, so that no write waits for a compaction. What is
/// readable was decided when the compaction was published; how far the cutting has come can be seen by nobody.
/// </summary>
internal sealed class HistoryCutter(MvccStore store)
{
    private readonly List<KeyRecord> _gone = [];
    private long _done;
    private long _target;
    private byte[]? _cursor;

    /// <summary>Whether there is history to cut, for all that is known now.</summary>
    public bool HasWork => _cursor is not null || store.Horizon() > _done;

    /// <summary>Cuts at most <paramref name="keys"/> keys' history; false where nothing is left to do for now.</summary>
    public bool RunSlice(int keys)
    {
        if (_cursor is null)
        {
            long horizon = store.Horizon();
            if (horizon <= _done)
            {
                return false;
            }

            store.Events.Trim(horizon);
            _target = horizon;
            _cursor = [0];
        }

        var visitor = new Cutter(store, _target, keys, _gone);
        KeyRange rest = KeyRange.From(_cursor, new byte[] { 0 });
        store.View.Index.Scan(rest, ref visitor);
        foreach (KeyRecord record in _gone)
        {
            store.Forget(record);
        }

        _gone.Clear();
        StoreView view = store.View;
        store.Publish(view.AppliedIndex, view.AppliedTerm); // What was cut goes back when nobody can be looking at it any more.

        _cursor = visitor.Next;
        if (_cursor is null)
        {
            _done = _target;
        }

        return true;
    }

    private struct Cutter(MvccStore store, long horizon, int keys, List<KeyRecord> gone) : IRecordVisitor
    {
        private int _left = keys;

        /// <summary>Where the next slice begins; null at the end.</summary>
        public byte[]? Next { get; private set; }

        public bool Visit(KeyRecord record)
        {
            if (_left-- == 0)
            {
                Next = record.Key.ToArray();
                return false;
            }

            if (store.CutHistory(record, horizon))
            {
                gone.Add(record);
            }

            return true;
        }
    }
}
