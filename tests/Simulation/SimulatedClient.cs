using System.Buffers.Binary;
using MetaStore.Engine;

namespace MetaStore.Simulation;

/// <summary>One client: a closed loop of operations on nodes of its choice. Each operation goes into the history.</summary>
internal sealed class SimulatedClient(World world, SimulationRandom random)
{
    private Attempt? _current;

    /// <summary>An operation is under way.</summary>
    public bool IsBusy => _current is not null;

    public void Start() => world.Time.After(random.NextInt64(world.Options.ThinkMax), Next);

    /// <summary>The node that was asked is gone: no answer will come.</summary>
    public void NodeDied(SimulatedNode node)
    {
        if (_current is not null && _current.Node == node)
        {
            // Whether it took effect is unknown.
            world.History.Add(_current.Entry);
            _current = null;
            ThinkThenNext();
        }
    }

    private void Next()
    {
        if (!world.TakeOperation())
        {
            return;
        }

        SimulatedNode node = world.Nodes[random.Next(world.Nodes.Count)];
        if (!node.IsUp)
        {
            world.ReturnOperation();
            world.Time.After(50 * VirtualTime.Millisecond, Next);
            return;
        }

        var entry = new HistoryEntry { Request = Draw(), Invoked = world.NextEvent() };
        _current = new Attempt(node, entry);
        Ask(_current);
    }

    private void Ask(Attempt attempt)
    {
        IMetaStore store = attempt.Node.Core!;
        switch (attempt.Entry.Request)
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
            awaiter.UnsafeOnCompleted(() => Answered(attempt, () => awaiter.GetResult()));
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
                attempt.Entry.Response = response;
                attempt.Entry.Returned = world.NextEvent();
                world.Revision = Math.Max(world.Revision, response.Header.Revision.Value);
            }
        }
        catch (MetaStoreException error) when (isCurrent || error.Error == MetaStoreError.NodeFailed)
        {
            attempt.Entry.HadNoEffect = error.Outcome == Outcome.NotApplied;
            world.Trace.Add(world.Time.Now, "error", (ulong)error.Error);
        }

        if (isCurrent)
        {
            world.History.Add(attempt.Entry);
            world.Trace.Add(world.Time.Now, "answer", (ulong)attempt.Entry.Invoked, (ulong)world.Revision);
            _current = null;
            ThinkThenNext();
        }
    }

    private void ThinkThenNext() => world.Time.After(random.Between(10 * VirtualTime.Microsecond, world.Options.ThinkMax), Next);

    private StoreRequest Draw()
    {
        long key = random.NextInt64(world.Options.Keys);
        double kind = random.NextDouble();
        if (random.Chance(world.Options.CompactProbability) && world.Revision > 2)
        {
            // Up to the newest revision, too: then a deleted key leaves nothing behind that would show what the revision was.
            long upTo = world.Options.CompactToNewest ? world.Revision : 1 + random.NextInt64(world.Revision);
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

        long revision = random.Chance(0.3) && world.Revision > 2 ? 1 + random.NextInt64(world.Revision) : 0;
        return new RangeRequest
        {
            Key = RegisterProjection.KeyOf(0),
            RangeEnd = RegisterProjection.KeyOf(world.Options.Keys),
            Serializable = random.Chance(0.3),
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

    private sealed record Attempt(SimulatedNode Node, HistoryEntry Entry);
}
