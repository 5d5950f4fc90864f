using System.Collections.Immutable;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Leases;

/// <summary>
/// The leases with everything prepared so far. Owned by the apply loop, as <see cref="Index.KeyIndexBuilder"/> is: what it changes nobody sees until
/// <see cref="Publish"/>. Keeps a digest of what it did, attachments included, that goes into the store's.
/// </summary>
internal sealed class LeaseTableBuilder
{
    private const ulong GrantMark = 0x6EA5_E001, EndMark = 0x6EA5_E002, CheckpointMark = 0x6EA5_E003;

    private readonly ImmutableSortedDictionary<long, Lease>.Builder _leases;
    private readonly List<LeaseNews> _news = [];
    private readonly List<long> _left = [];
    private LeaseTable _published;
    private ulong _lastDrawn;
    private bool _changed;

    public LeaseTableBuilder(LeaseTable table)
    {
        _published = table;
        _leases = table.ToBuilder();
        _lastDrawn = table.LastDrawn;
    }

    public Lease? Find(long id) => _leases.GetValueOrDefault(id);

    /// <summary>
    /// An id that no lease has. It follows from how many were drawn before, so all members draw the same; spread over all positive numbers, so that a mistyped
    /// one, or one of another cluster, is hardly ever somebody's.
    /// </summary>
    public long DrawId()
    {
        while (true)
        {
            long id = (long)(new SplitMix64(++_lastDrawn).Next() >> 1);
            if (id != 0 && !_leases.ContainsKey(id))
            {
                return id;
            }
        }
    }

    public void Grant(ref ulong digest, ulong index, long id, long ttlMilliseconds, bool endsWithLastKey)
    {
        Invariant.Check(id > 0, $"a lease of id {id} is granted");
        _leases.Add(id, new Lease(id, ttlMilliseconds, ttlMilliseconds, endsWithLastKey, Lease.NoKeys));
        _changed = true;
        _news.Add(new LeaseNews(index, LeaseChange.Granted, id, ttlMilliseconds, ttlMilliseconds));
        digest = StateDigest.Add(StateDigest.Add(StateDigest.Add(digest, GrantMark), (ulong)id), (ulong)ttlMilliseconds);
    }

    /// <summary>Ends a lease whose keys are gone.</summary>
    public void End(ref ulong digest, ulong index, long id)
    {
        Invariant.Check(Find(id) is { Keys.IsEmpty: true }, $"lease {id} ends with keys, or twice");
        _leases.Remove(id);
        _changed = true;
        _news.Add(new LeaseNews(index, LeaseChange.Ended, id, 0, 0));
        digest = StateDigest.Add(StateDigest.Add(digest, EndMark), (ulong)id);
    }

    /// <summary>What a lease has left. One that is gone has nothing.</summary>
    public void Checkpoint(ref ulong digest, ulong index, LeaseCheckpoint checkpoint)
    {
        if (Find(checkpoint.Id) is not { } lease)
        {
            return;
        }

        long remaining = Math.Clamp(checkpoint.RemainingMilliseconds, 0, lease.TtlMilliseconds);
        _leases[lease.Id] = lease with { RemainingMilliseconds = remaining };
        _changed = true;
        _news.Add(new LeaseNews(index, LeaseChange.Checkpointed, lease.Id, lease.TtlMilliseconds, remaining));
        digest = StateDigest.Add(StateDigest.Add(StateDigest.Add(digest, CheckpointMark), (ulong)lease.Id), (ulong)remaining);
    }

    /// <summary>A key goes from one lease to another; 0 is none.</summary>
    public void Move(ref ulong digest, ReadOnlySpan<byte> key, long from, long to)
    {
        if (from == to)
        {
            return;
        }

        byte[] copy = key.ToArray();
        if (from != 0)
        {
            Lease lease = Known(from);
            Set(ref digest, lease with { Keys = lease.Keys.Remove(copy) });
            if (lease is { EndsWithLastKey: true, Keys.Count: 1 })
            {
                _left.Add(from);
            }
        }

        if (to != 0)
        {
            Lease lease = Known(to);
            Set(ref digest, lease with { Keys = lease.Keys.Add(copy) });
        }
    }

    /// <summary>The request is complete: leases of single keys that have lost their last key end.</summary>
    public void EndRequest(ref ulong digest, ulong index)
    {
        foreach (long id in _left)
        {
            if (Find(id) is { Keys.IsEmpty: true })
            {
                End(ref digest, index, id);
            }
        }

        _left.Clear();
    }

    /// <summary>The leases as they are now. The same object until something changes.</summary>
    public LeaseTable Publish()
    {
        if (_changed || _lastDrawn != _published.LastDrawn)
        {
            _published = new LeaseTable(_leases.ToImmutable(), _lastDrawn);
            _changed = false;
        }

        return _published;
    }

    /// <summary>What has changed since the last call, in order.</summary>
    public void TakeNews(Action<LeaseNews> hear)
    {
        foreach (LeaseNews news in _news)
        {
            hear(news);
        }

        _news.Clear();
    }

    private Lease Known(long id)
    {
        Lease? lease = Find(id);
        Invariant.Check(lease is not null, $"a key belongs to lease {id}, which is not there");
        return lease!;
    }

    private void Set(ref ulong digest, Lease lease)
    {
        _leases[lease.Id] = lease;
        _changed = true;
        digest = StateDigest.Add(StateDigest.Add(digest, (ulong)lease.Id), (ulong)lease.Keys.Count);
    }
}
