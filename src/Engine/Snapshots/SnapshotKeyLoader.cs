using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// Loads the keys of a snapshot in rounds. In each, one part puts the keys of the round before the last into the index, in order, and reads the next pieces of the payload, whose sums the
/// source checks; meanwhile all parts make records of the pieces that were read in the round before. Each has memory of its own, which becomes the store's in the end.
/// </summary>
internal sealed class SnapshotKeyLoader(SnapshotInput input, IForkJoin parts, StoreMemory memory, KeyIndexBuilder index, int pieceBytesMax = SnapshotKeyLoader.PieceBytesMax)
{
    /// <summary>About as much is in a piece, unless one version alone is larger.</summary>
    public const int PieceBytesMax = 512 << 10;

    private const int ParcelsPerPart = 2;
    private const int FirstPieceBytes = 16 << 10; // A host of many groups loads many small stores.

    private readonly StoreMemory[] _memories = [memory, .. Enumerable.Range(1, parts.Width - 1).Select(_ => new StoreMemory())];
    private Round _reading = new(ParcelsPerPart * parts.Width);
    private Round _building = new(ParcelsPerPart * parts.Width);
    private Round _built = new(ParcelsPerPart * parts.Width);
    private KeyRecord _key;
    private VersionRecord _version;
    private int _pieceBytes = Math.Min(FirstPieceBytes, pieceBytesMax);
    private uint _left;
    private bool _isEnd;
    private ulong _keys;

    /// <summary>All versions from the compacted revision on.</summary>
    public List<RestoredEvent> Changes { get; } = [];

    /// <summary>The oldest revision among them; <see cref="long.MaxValue"/> where there are none.</summary>
    public long OldestChange { get; private set; } = long.MaxValue;

    /// <summary>The newest revision of any key.</summary>
    public long Newest { get; private set; }

    /// <summary>Which keys belong to which lease: what the newest version of a key says is what counts; tombstones have none.</summary>
    public Dictionary<long, ImmutableSortedSet<byte[]>.Builder> Attached { get; } = [];

    /// <summary>Reads the keys, up to and with how many they are.</summary>
    /// <exception cref="SnapshotFormatException">They are none that this program writes.</exception>
    public void Load(long revision, long compactRevision)
    {
        while (!_isEnd || _reading.Count > 0 || _building.Count > 0)
        {
            (_reading, _building, _built) = (_built, _reading, _building);
            _reading.Count = 0;
            _building.Begin();
            parts.Run(part =>
            {
                if (part == 0)
                {
                    Add(_built);
                    Read(_reading);
                }

                while (_building.TryTake() is { } parcel)
                {
                    parcel.Build(_memories[part], revision, compactRevision);
                }
            });
            _built.Count = 0;
        }

        foreach (StoreMemory other in _memories.AsSpan(1))
        {
            memory.Adopt(other);
        }

        ulong expected = input.UInt64();
        if (_keys != expected)
        {
            throw SnapshotInput.Wrong($"{_keys} keys where {expected} are announced", input.Offset);
        }
    }

    private void Read(Round round)
    {
        while (!_isEnd && round.Count < round.Parcels.Length)
        {
            _isEnd = !round.Parcels[round.Count++].Read(input, _pieceBytes, ref _left);
            _pieceBytes = Math.Min(pieceBytesMax, 2 * _pieceBytes);
        }
    }

    private void Add(Round round)
    {
        foreach (KeyParcel parcel in round.Parcels.AsSpan(0, round.Count))
        {
            Add(parcel);
        }
    }

    private void Add(KeyParcel parcel)
    {
        if (!parcel.First.IsNull)
        {
            if (parcel.First.ModRevision > _version.ModRevision)
            {
                throw parcel.WrongAtBegin($"version at revision {parcel.First.ModRevision} follows one at {_version.ModRevision}");
            }

            _version.SetPrevious(parcel.First);
        }

        _version = parcel.Last.IsNull ? _version : parcel.Last;
        foreach (ref RestoredEvent change in CollectionsMarshal.AsSpan(parcel.Changes)[..parcel.ChangesBefore])
        {
            change = change with { Record = _key };
        }

        OldestChange = Math.Min(OldestChange, parcel.OldestChange);
        Changes.AddRange(parcel.Changes);
        foreach (KeyRecord key in parcel.Keys)
        {
            if (_key.IsNull ? key.Key.IsEmpty : _key.Key.SequenceCompareTo(key.Key) >= 0)
            {
                throw parcel.WrongAtBegin("keys are out of order");
            }

            index.Insert(key);
            Newest = Math.Max(Newest, key.Head.ModRevision);
            _key = key;
            _keys++;
        }

        parcel.Leased.ForEach(Attach);
    }

    private void Attach(KeyRecord key)
    {
        long lease = key.Head.LeaseId;
        if (!Attached.TryGetValue(lease, out ImmutableSortedSet<byte[]>.Builder? keys))
        {
            Attached.Add(lease, keys = Lease.NoKeys.ToBuilder());
        }

        keys.Add(key.Key.ToArray());
    }

    /// <summary>Pieces that go the same way together.</summary>
    private sealed class Round
    {
        private int _taken;

        public Round(int size) => Parcels = [.. Enumerable.Range(0, size).Select(_ => new KeyParcel())];

        public KeyParcel[] Parcels { get; }

        /// <summary>How many of them there are.</summary>
        public int Count { get; set; }

        /// <summary>Nobody has begun with any of them.</summary>
        public void Begin() => _taken = 0;

        /// <summary>The next one that nobody has begun with; any thread.</summary>
        public KeyParcel? TryTake() => Interlocked.Increment(ref _taken) is var taken && taken <= Count ? Parcels[taken - 1] : null;
    }
}
