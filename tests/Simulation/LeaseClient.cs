using System.Buffers.Binary;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Simulation;

/// <summary>
/// A client that lives by leases: grants one, puts keys with it, keeps it alive for a while, at any nodes, and then dies (asks no more), revokes it, or takes a key out. Its keys are its own, so it knows what
/// every answer must be: nothing of a lease is gone before its time to live has passed since the last renewal that was answered was <em>sent</em>, nothing of it is there any more once its revocation was
/// answered, and its keys go together.
/// </summary>
internal sealed class LeaseClient(World world, SimulationRandom random, int number)
{
    private const byte KeyPrefix = (byte)'l'; // Behind the keys of the other clients, which look at ranges of theirs.

    private readonly SimulatedGroup _group = world.Groups[0];
    private long _lives;
    private Life? _life;
    private Attempt? _current;

    /// <summary>An operation is under way.</summary>
    public bool IsBusy => _current is not null;

    public void Start() => world.Time.After(random.NextInt64(VirtualTime.Second), Next);

    /// <summary>The node that was asked is gone: no answer will come.</summary>
    public void NodeDied(SimulatedNode node)
    {
        if (_current is { } attempt && attempt.Node == node)
        {
            _current = null;
            attempt.Lost(Outcome.Unknown);
            Pause();
        }
    }

    private void Pause()
    {
        // As one that means to keep its lease: a third of its time to live, and now and then too late.
        long third = (_life?.TtlSeconds ?? 1) * VirtualTime.Second / 3;
        world.Time.After(random.Between(third / 4, random.Chance(0.1) ? 4 * third : third), Next);
    }

    private void Next()
    {
        if (world.Leases.HaveEnded || !world.TakeOperation())
        {
            return;
        }

        if (_life is null || random.Chance(_life.IsOver ? 0.4 : 0.04))
        {
            // Died, where there was one: nobody speaks of that lease again.
            _life = new Life(++_lives, random.Next(1, 6), random.Next(1, 4)) { JumpsBefore = world.Leases.ClockJumps };
            Grant(_life);
            return;
        }

        Act(_life);
    }

    private void Act(Life life)
    {
        int missing = life.Attached.IndexOf(Attachment.None);
        if (missing >= 0 && !life.IsRevoking)
        {
            Put(life, missing);
            return;
        }

        double kind = random.NextDouble();
        if (kind < 0.55)
        {
            KeepAlive(life);
        }
        else if (kind < 0.85)
        {
            Read(life);
        }
        else if (kind < 0.92)
        {
            AskTimeToLive(life);
        }
        else if (kind < 0.96 && !world.Options.Sessions && life.Attached.Contains(Attachment.Attached) && !life.IsRevoking)
        {
            TakeOut(life, life.Attached.IndexOf(Attachment.Attached));
        }
        else
        {
            Revoke(life);
        }
    }

    private void Grant(Life life)
    {
        Ask(store => store.GrantLeaseAsync(new LeaseGrantRequest(life.TtlSeconds)), (granted, sent) =>
        {
            life.Id = granted.Id;
            life.TtlSeconds = granted.Ttl;
            life.Promise(sent);
        }, failed: _ => _life = null); // One that nobody heard of ends by itself.
    }

    private void Put(Life life, int key)
    {
        var put = new PutRequest { Key = KeyOf(life, key), Value = KeyOf(life, key), LeaseId = life.Id };
        life.Attached[key] = Attachment.Unknown;
        Ask(
            store => store.PutAsync(put),
            (answer, sent) =>
            {
                Require(!life.WasRevokedBefore(sent), $"a put with lease {life} succeeds, whose revocation had been answered before");
                life.Attached[key] = Attachment.Attached;
            },
            failure =>
            {
                if (failure is { Error: MetaStoreError.LeaseNotFound })
                {
                    Gone(life, "a put with it finds none");
                }

                if (failure?.Outcome == Outcome.NotApplied)
                {
                    life.Attached[key] = Attachment.None;
                }
            });
    }

    /// <summary>
    /// Put without the lease: from here on the key stays, whatever becomes of the lease. Not where the network repeats proposals: the first put might come again, behind this one.
    /// </summary>
    private void TakeOut(Life life, int key)
    {
        life.Attached[key] = Attachment.Unknown;
        Ask(
            store => store.PutAsync(new PutRequest { Key = KeyOf(life, key), Value = KeyOf(life, key) }),
            (_, _) =>
            {
                life.Attached[key] = Attachment.TakenOut;
                world.Leases.Stays(KeyOf(life, key));
            },
            _ => { });
    }

    private void KeepAlive(Life life) => Ask(
        store => store.KeepLeaseAliveAsync(life.Id),
        (renewed, sent) =>
        {
            if (renewed.Ttl == 0)
            {
                Gone(life, "a renewal finds none");
                return;
            }

            Require(!life.WasRevokedBefore(sent), $"lease {life} is renewed, whose revocation had been answered before");
            Require(!life.WasGoneBefore(sent), $"lease {life} is renewed, which had been gone before");
            Require(renewed.Ttl == life.TtlSeconds, $"lease {life} is renewed for {renewed.Ttl} s");
            life.Promise(sent);
            world.Leases.Renewals++;
        },
        _ => { });

    private void AskTimeToLive(Life life) => Ask(
        store => store.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(life.Id, WithKeys: true)),
        (left, sent) =>
        {
            if (left.GrantedTtl == 0)
            {
                Gone(life, "nothing is left of it");
                return;
            }

            Require(!life.WasRevokedBefore(sent), $"lease {life} has {left.Ttl} s left, and its revocation had been answered before");
            Require(left.GrantedTtl == life.TtlSeconds && left.Ttl <= left.GrantedTtl, $"lease {life} has {left.Ttl} s left of {left.GrantedTtl}");
            int attached = life.Attached.Count(key => key == Attachment.Attached);
            int perhaps = life.Attached.Count(key => key == Attachment.Unknown);
            Require(
                left.Keys.Count >= attached && left.Keys.Count <= attached + perhaps,
                $"lease {life} has {left.Keys.Count} keys; {attached} were put with it, and of {perhaps} nobody knows");
        },
        _ => { });

    private void Revoke(Life life)
    {
        life.IsRevoking = true;
        Ask(
            store => store.RevokeLeaseAsync(new LeaseRevokeRequest(life.Id)),
            (_, _) => life.Revoked(world.Time.Now),
            failure =>
            {
                if (failure is { Error: MetaStoreError.LeaseNotFound })
                {
                    life.GoneSince(world.Time.Now);
                }
            });
    }

    /// <summary>All its keys at once, at one revision.</summary>
    private void Read(Life life)
    {
        byte[] first = KeyOf(life, 0);
        byte[] end = KeyOf(life, life.Attached.Count);
        Ask(
            store => store.RangeAsync(new RangeRequest { Key = first, RangeEnd = end }),
            (range, sent) =>
            {
                HashSet<int> seen = [.. range.Items.Select(item => (int)item.Key.Span[^1])];
                int[] attached = [.. Enumerable.Range(0, life.Attached.Count).Where(key => life.Attached[key] == Attachment.Attached)];
                int there = attached.Count(seen.Contains);
                Require(there == 0 || there == attached.Length, $"of the {attached.Length} keys of lease {life} {there} are there: they did not go together");
                Require(there == 0 || !life.WasRevokedBefore(sent), $"keys of lease {life} are there, and its revocation had been answered before");
                foreach (int key in Enumerable.Range(0, life.Attached.Count).Where(key => life.Attached[key] == Attachment.TakenOut))
                {
                    Require(seen.Contains(key), $"key {key} of lease {life} had been taken out of it, and is gone");
                }

                if (there < attached.Length)
                {
                    Gone(life, "its keys are not there");
                }
            },
            _ => { });
    }

    /// <summary>An answer says that the lease is gone.</summary>
    private void Gone(Life life, string how)
    {
        Require(
            life.IsRevoking || world.Time.Now >= life.AliveUntil - ((world.Leases.ClockJumps - life.JumpsBefore) * LeaseChecks.JumpCounts),
            $"lease {life} is gone ({how}) at {world.Time.Now / 1e9:F3} s; it was promised until {life.AliveUntil / 1e9:F3} s");
        life.GoneSince(world.Time.Now);
    }

    private void Ask<T>(Func<GroupCore, ValueTask<T>> ask, Action<T, long> answered, Action<MetaStoreException?> failed)
        where T : StoreResponse
    {
        SimulatedNode node = world.Nodes[random.Next(world.Nodes.Count)];
        if (!node.IsUp)
        {
            failed(new MetaStoreException(MetaStoreError.ConnectionLost, "the node is down"));
            Pause();
            return;
        }

        long sent = world.Time.Now;
        var attempt = new Attempt(node, outcome => failed(outcome == Outcome.Unknown ? null : new MetaStoreException(MetaStoreError.ConnectionLost, "lost", outcome)));
        _current = attempt;
        try
        {
            System.Runtime.CompilerServices.ValueTaskAwaiter<T> awaiter = ask(node.StoreOf(_group.Id)!).GetAwaiter();
            if (awaiter.IsCompleted)
            {
                Take(attempt, () => awaiter.GetResult(), sent, answered, failed);
            }
            else
            {
                awaiter.UnsafeOnCompleted(world.Time.Continuation(() => Take(attempt, () => awaiter.GetResult(), sent, answered, failed)));
            }
        }
        catch (MetaStoreException refusal) when (refusal.Error == MetaStoreError.WitnessMember)
        {
            _current = null;
            failed(refusal);
            Pause();
        }
    }

    private void Take<T>(Attempt attempt, Func<T> answer, long sent, Action<T, long> answered, Action<MetaStoreException?> failed)
    {
        // Taken in any case: the handle goes back to its pool. A client that has given up does not look at it.
        bool isCurrent = ReferenceEquals(_current, attempt);
        try
        {
            T response = answer();
            if (isCurrent)
            {
                world.Trace.Add(world.Time.Now, "lease answer", (ulong)number, (ulong)(_life?.Id ?? 0));
                answered(response, sent);
            }
        }
        catch (MetaStoreException error) when (isCurrent || error.Error == MetaStoreError.NodeFailed)
        {
            world.Trace.Add(world.Time.Now, "lease error", (ulong)error.Error);
            if (isCurrent)
            {
                failed(error);
            }
        }

        if (isCurrent)
        {
            _current = null;
            Pause();
        }
    }

    private byte[] KeyOf(Life life, int key)
    {
        var bytes = new byte[1 + sizeof(int) + sizeof(long) + 1];
        bytes[0] = KeyPrefix;
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(1), number);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(1 + sizeof(int)), life.Number);
        bytes[^1] = (byte)key;
        return bytes;
    }

    private static void Require(bool holds, string broken)
    {
        if (!holds)
        {
            throw new SimulationFailure(FailureKind.Correctness, broken);
        }
    }

    private enum Attachment
    {
        /// <summary>Not put yet.</summary>
        None,

        /// <summary>A put is on its way, or its answer was lost.</summary>
        Unknown,

        /// <summary>Put with the lease.</summary>
        Attached,

        /// <summary>Put without it since.</summary>
        TakenOut,
    }

    private sealed class Attempt(SimulatedNode node, Action<Outcome> lost)
    {
        public SimulatedNode Node { get; } = node;

        public Action<Outcome> Lost { get; } = lost;
    }

    /// <summary>One lease and its keys, as this client knows them.</summary>
    private sealed class Life(long number, long ttlSeconds, int keys)
    {
        private readonly long _never = long.MaxValue;
        private long _revoked = long.MaxValue;
        private long _gone = long.MaxValue;

        public long Number { get; } = number;

        public long Id { get; set; }

        /// <summary>Jumps of clocks before it: those since count, each a little.</summary>
        public long JumpsBefore { get; init; }

        /// <summary>It is gone, as far as this client knows.</summary>
        public bool IsOver => _gone != _never || _revoked != _never;

        public long TtlSeconds { get; set; } = ttlSeconds;

        public List<Attachment> Attached { get; } = [.. Enumerable.Repeat(Attachment.None, keys)];

        /// <summary>A revocation was asked for: it may be gone at any time.</summary>
        public bool IsRevoking { get; set; }

        /// <summary>By a right clock.</summary>
        public long AliveUntil { get; private set; }

        public void Promise(long sent) => AliveUntil = Math.Max(AliveUntil, sent + (TtlSeconds * VirtualTime.Second));

        public void Revoked(long now) => _revoked = Math.Min(_revoked, now);

        public void GoneSince(long now) => _gone = Math.Min(_gone, now);

        public bool WasRevokedBefore(long sent) => _revoked != _never && _revoked < sent;

        public bool WasGoneBefore(long sent) => _gone != _never && _gone < sent;

        public override string ToString() => $"{Id:x} (ttl {TtlSeconds} s)";
    }
}
