using System.Buffers.Binary;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Simulation;

/// <summary>
/// One client: a closed loop of operations on nodes of its choice. Each operation goes into the history. A client with a session, which it may share
/// with others, writes in it; without one it gives up what got no answer.
/// </summary>
/// <param name="world">The run.</param>
/// <param name="random">Its randomness.</param>
/// <param name="sessions">Where it writes; null: without a session.</param>
/// <param name="own">The only group it uses; null: whichever the run's clients use at the time.</param>
internal sealed class SimulatedClient(World world, SimulationRandom random, SimulatedSessions? sessions, SimulatedGroup? own = null)
{
    private IReadOnlyList<SimulatedNode>? _asked;
    private ClientWish _wish;
    private Attempt? _current;
    private SimulatedGroup _group = own ?? world.Groups[0];
    private HistoryEntry? _entry;
    private bool _isUncertain;

    /// <summary>Answers that it still insists on; null: it does what the run has to do, with whatever comes of it.</summary>
    public int? Due { get; private set; }

    /// <summary>Operations that got no answer while it insisted on one.</summary>
    public int Unanswered { get; private set; }

    /// <summary>An operation is under way.</summary>
    public bool IsBusy => _entry is not null;

    public void Start() => world.Time.After(random.NextInt64(world.Options.ThinkMax), Next);

    /// <summary>It asks some nodes, null for any, and insists on so many answers.</summary>
    public void Insist(int answers, IReadOnlyList<SimulatedNode>? asked = null, ClientWish wish = ClientWish.Anything)
    {
        (Due, _asked, _wish) = (answers, asked, wish);
        Start();
    }

    /// <summary>The node that was asked is gone: no answer will come.</summary>
    public void NodeDied(SimulatedNode node)
    {
        if (_current is not null && _current.Node == node)
        {
            // Whether it took effect is unknown.
            _isUncertain = true;
            GiveUp();
        }
    }

    private void Next()
    {
        if (Due is { } due ? due == 0 : !world.TakeOperation())
        {
            return;
        }

        _group = own ?? world.ChooseGroup(random);
        _entry = new HistoryEntry { Request = Draw(), Invoked = world.NextEvent(), InvokedAt = world.Time.Now };
        _isUncertain = false;
        if (sessions is not null && _entry.Request is not RangeRequest)
        {
            _current = new Attempt(null);
            AwaitSession(_current, sessions.WriteAsync(_group, _entry.Request));
            return;
        }

        Try();
    }

    private void Try()
    {
        IReadOnlyList<SimulatedNode> nodes = _asked ?? world.Nodes;
        SimulatedNode node = nodes[random.Next(nodes.Count)];
        if (!node.IsUp)
        {
            world.Time.After(50 * VirtualTime.Millisecond, Try);
            return;
        }

        _current = new Attempt(node);
        try
        {
            Ask(_current, node.StoreOf(_group.Id)!);
        }
        catch (MetaStoreException refusal) when (refusal.Error == MetaStoreError.WitnessMember)
        {
            Fail(refusal); // Before anything was begun.
        }
    }

    private void Ask(Attempt attempt, GroupCore store)
    {
        switch (_entry!.Request)
        {
            case PutRequest put:
                Await(attempt, store.PutAsync(put));
                break;
            case RangeRequest range:
                Await(attempt, store.RangeAsync(range));
                break;
            case DeleteRangeRequest delete:
                Await(attempt, store.DeleteRangeAsync(delete));
                break;
            case TxnRequest txn:
                Await(attempt, store.TxnAsync(txn));
                break;
            case CompactRequest compact:
                Await(attempt, store.CompactAsync(compact));
                break;
        }
    }

    private void Await<TResponse>(Attempt attempt, ValueTask<TResponse> answer)
        where TResponse : StoreResponse
    {
        System.Runtime.CompilerServices.ValueTaskAwaiter<TResponse> awaiter = answer.GetAwaiter();
        if (awaiter.IsCompleted)
        {
            Answered(attempt, () => awaiter.GetResult());
        }
        else
        {
            awaiter.UnsafeOnCompleted(world.Time.Continuation(() => Answered(attempt, () => awaiter.GetResult())));
        }
    }

    /// <summary>As an event of its own, so that what goes wrong in it is the run's.</summary>
    private void AwaitSession(Attempt attempt, ValueTask<StoreResponse> answer)
    {
        System.Runtime.CompilerServices.ValueTaskAwaiter<StoreResponse> awaiter = answer.GetAwaiter();
        void Later() => world.Time.After(0, () => Answered(attempt, () => awaiter.GetResult()));
        if (awaiter.IsCompleted)
        {
            Later();
        }
        else
        {
            awaiter.UnsafeOnCompleted(world.Time.Continuation(Later));
        }
    }

    private void Answered(Attempt attempt, Func<StoreResponse> answer)
    {
        // Taken in any case: the handle goes back to its pool. A client that has given up does not look at it.
        bool isCurrent = ReferenceEquals(_current, attempt);
        try
        {
            StoreResponse response = answer();
            if (isCurrent)
            {
                Take(response);
            }
        }
        catch (MetaStoreException error) when (isCurrent || error.Error == MetaStoreError.NodeFailed)
        {
            world.Trace.Add(world.Time.Now, "error", (ulong)error.Error);
            if (isCurrent)
            {
                Fail(error);
            }
        }
    }

    private void Take(StoreResponse response)
    {
        _entry!.Response = response;
        _entry.Returned = world.NextEvent();
        _entry.ReturnedAt = world.Time.Now;
        _group.Revision = Math.Max(_group.Revision, _entry.Response.Header.Revision.Value);
        Due--;
        End();
    }

    private void Fail(MetaStoreException error)
    {
        _isUncertain |= error.Outcome == Outcome.Unknown;
        switch (error.Error)
        {
            case MetaStoreError.WitnessMember:
                break;
            case MetaStoreError.Busy or MetaStoreError.NoLeader or MetaStoreError.Timeout or MetaStoreError.NodeFailed:
                Unanswered++;
                break;
            default:
                Due--; // No is an answer, too.
                break;
        }

        GiveUp();
    }

    private void GiveUp()
    {
        _entry!.HadNoEffect = !_isUncertain;
        End();
    }

    private void End()
    {
        _group.History.Add(_entry!);
        world.Trace.Add(world.Time.Now, "answer", (ulong)_entry!.Invoked, (ulong)_group.Revision);
        _current = null;
        _entry = null;
        ThinkThenNext();
    }

    private void ThinkThenNext() => world.Time.After(random.Between(10 * VirtualTime.Microsecond, world.Options.ThinkMax), Next);

    private StoreRequest Draw() => _wish switch
    {
        ClientWish.AllKeys => new RangeRequest { Key = RegisterProjection.KeyOf(0), RangeEnd = RegisterProjection.KeyOf(world.Options.Keys) },
        ClientWish.Puts => new PutRequest { Key = RegisterProjection.KeyOf(random.NextInt64(world.Options.Keys)), Value = NewValue() },
        _ => DrawAny(),
    };

    private StoreRequest DrawAny()
    {
        long key = random.NextInt64(world.Options.Keys);
        if (random.Chance(world.Options.ReadShare))
        {
            return new RangeRequest { Key = RegisterProjection.KeyOf(key) };
        }

        double kind = random.NextDouble();
        if (random.Chance(world.Options.CompactProbability) && _group.Revision > 2)
        {
            // Up to the newest revision, too: then a deleted key leaves nothing behind that would show what the revision was.
            long upTo = world.Options.CompactToNewest ? _group.Revision : 1 + random.NextInt64(_group.Revision);
            return new CompactRequest(new Revision(upTo));
        }

        if (kind < 0.35)
        {
            return new PutRequest { Key = RegisterProjection.KeyOf(key), Value = NewValue(), ReturnPrevious = random.Chance(0.5) };
        }

        if (kind < 0.65)
        {
            return new RangeRequest { Key = RegisterProjection.KeyOf(key) };
        }

        if (kind < 0.72)
        {
            return new DeleteRangeRequest { Key = RegisterProjection.KeyOf(key), ReturnPrevious = true };
        }

        if (kind < 0.80)
        {
            return new TxnRequest
            {
                Compare = [new Compare { Key = RegisterProjection.KeyOf(key), Target = CompareTarget.Version, Number = random.Next(4) }],
                Success = [new PutRequest { Key = RegisterProjection.KeyOf(key), Value = NewValue() }],
            };
        }

        if (kind < 0.86 && world.Options.Keys > 1)
        {
            long other = (key + 1 + random.NextInt64(world.Options.Keys - 1)) % world.Options.Keys;
            return new TxnRequest
            {
                Success =
                [
                    new PutRequest { Key = RegisterProjection.KeyOf(key), Value = NewValue() },
                    new PutRequest { Key = RegisterProjection.KeyOf(other), Value = NewValue() },
                ],
            };
        }

        bool isSerializable = random.Chance(0.3);
        bool isBounded = !isSerializable && random.Chance(0.4);
        long revision = random.Chance(0.3) && _group.Revision > 2 ? 1 + random.NextInt64(_group.Revision) : 0;
        return new RangeRequest
        {
            Key = RegisterProjection.KeyOf(0),
            RangeEnd = RegisterProjection.KeyOf(world.Options.Keys),
            Serializable = isSerializable,
            StalenessMax = isBounded ? TimeSpan.FromMilliseconds(random.Next(1, 5000)) : TimeSpan.Zero,
            Revision = new Revision(revision),
        };
    }

    private byte[] NewValue()
    {
        var value = new byte[sizeof(long) + random.Next(world.Options.ValueBytesMax)];
        random.NextBytes(value);
        BinaryPrimitives.WriteInt64LittleEndian(value, world.NextValue());
        return value;
    }

    /// <param name="node">The node that was asked; null: whichever its session asks.</param>
    private sealed class Attempt(SimulatedNode? node)
    {
        public SimulatedNode? Node { get; } = node;
    }
}
