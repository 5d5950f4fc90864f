using System.Buffers.Binary;
using MetaStore.Engine;
using MetaStore.Testing.Linearizability;

namespace MetaStore.Simulation;

/// <summary>
/// The keys and values of the workload, and what each operation means for a single key. A transaction over several keys is, for each
/// of them, an operation in the same interval.
/// </summary>
internal static class RegisterProjection
{
    public static byte[] KeyOf(long key)
    {
        var bytes = new byte[9];
        bytes[0] = (byte)'k';
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(1), key);
        return bytes;
    }

    public static long KeyNumber(ReadOnlyMemory<byte> key) => BinaryPrimitives.ReadInt64BigEndian(key.Span[1..]);

    public static long ValueNumber(ReadOnlyMemory<byte> value) => BinaryPrimitives.ReadInt64LittleEndian(value.Span);

    public static Dictionary<long, List<RegisterOperation>> ByKey(IReadOnlyList<HistoryEntry> entries)
    {
        var keys = new Dictionary<long, List<RegisterOperation>>();
        Dictionary<long, long> revisions = SeenRevisions(entries);
        foreach (HistoryEntry entry in entries)
        {
            (long Key, RegisterOperation Operation)[] parts = [.. Project(entry)];

            // An unanswered write of which somebody saw one value has a known place, with all its parts.
            long seen = parts.Select(p => revisions.GetValueOrDefault(p.Operation.Value)).DefaultIfEmpty().Max();
            foreach ((long key, RegisterOperation operation) in parts)
            {
                if (!keys.TryGetValue(key, out List<RegisterOperation>? operations))
                {
                    keys.Add(key, operations = []);
                }

                operations.Add(operation.IsUnknown && seen > 0 ? operation with { Hint = 2 * seen } : operation);
            }
        }

        return keys;
    }

    private static IEnumerable<(long Key, RegisterOperation Operation)> Project(HistoryEntry entry)
    {
        switch (entry.Request)
        {
            case PutRequest put:
                var putResponse = entry.Response as PutResponse;
                yield return (KeyNumber(put.Key), Operation(entry, RegisterAction.Put) with
                {
                    Value = ValueNumber(put.Value),
                    Seen = putResponse is not null && put.ReturnPrevious ? StateOf(putResponse.Previous) : null,
                });
                break;
            case DeleteRangeRequest delete:
                var deleteResponse = entry.Response as DeleteRangeResponse;
                yield return (KeyNumber(delete.Key), Operation(entry, RegisterAction.Delete) with
                {
                    Seen = deleteResponse is null ? null : StateOf(deleteResponse.Previous.Count > 0 ? deleteResponse.Previous[0] : null),
                });
                break;
            case RangeRequest { Serializable: false } range when range.Revision.Value == 0 && !entry.MayBeStale:
                foreach ((long Key, RegisterOperation Operation) read in ProjectRange(entry, range))
                {
                    yield return read;
                }

                break;
            case TxnRequest txn:
                foreach ((long Key, RegisterOperation Operation) part in ProjectTxn(entry, txn))
                {
                    yield return part;
                }

                break;
        }
    }

    private static IEnumerable<(long Key, RegisterOperation Operation)> ProjectRange(HistoryEntry entry, RangeRequest range)
    {
        if (entry.Response is not RangeResponse response)
        {
            yield break;
        }

        Dictionary<long, KeyValue> seen = response.Items.ToDictionary(i => KeyNumber(i.Key));
        long first = KeyNumber(range.Key);
        long behind = range.RangeEnd.IsEmpty ? first + 1 : KeyNumber(range.RangeEnd);
        for (long key = first; key < behind; key++)
        {
            RegisterState state = seen.TryGetValue(key, out KeyValue item) ? StateOf(item) : RegisterState.Absent;
            yield return (key, Operation(entry, RegisterAction.Get) with { Seen = state });
        }
    }

    private static IEnumerable<(long Key, RegisterOperation Operation)> ProjectTxn(HistoryEntry entry, TxnRequest txn)
    {
        var response = entry.Response as TxnResponse;
        Compare? compare = txn.Compare.Count > 0 ? txn.Compare[0] : null;
        foreach (PutRequest put in txn.Success.Cast<PutRequest>())
        {
            RegisterOperation operation = Operation(entry, compare is null ? RegisterAction.Put : RegisterAction.CompareAndPut) with
            {
                Value = ValueNumber(put.Value),
            };
            yield return (KeyNumber(put.Key), compare is null ? operation : operation with { ExpectedVersion = compare.Number, Succeeded = response?.Succeeded });
        }
    }

    private static RegisterOperation Operation(HistoryEntry entry, RegisterAction action) => new()
    {
        Action = action,
        Invoked = entry.Invoked,
        Returned = entry.Returned,

        // What changed nothing at a revision comes behind the write of it.
        Hint = entry.Response is null ? long.MaxValue : (2 * entry.Response.Header.Revision.Value) + (ChangedSomething(entry.Response) ? 0 : 1),
    };

    /// <summary>The places of revisions that no known write holds: where the writes without an answer that nobody saw may have been.</summary>
    public static long[] OpenPlaces(IEnumerable<List<RegisterOperation>> keys)
    {
        HashSet<long> hints = [.. keys.SelectMany(k => k).Select(o => o.Hint).Where(h => h != long.MaxValue)];
        HashSet<long> taken = [.. hints.Where(h => h % 2 == 0)];
        long last = hints.Count == 0 ? 0 : hints.Max();
        return [.. Enumerable.Range(2, (int)(last / 2)).Select(r => 2L * r).Where(place => !taken.Contains(place))];
    }

    private static bool ChangedSomething(StoreResponse response) =>
        response is PutResponse or DeleteRangeResponse { Deleted: > 0 } or TxnResponse { Succeeded: true };

    private static Dictionary<long, long> SeenRevisions(IEnumerable<HistoryEntry> entries)
    {
        var revisions = new Dictionary<long, long>();
        foreach (RangeResponse response in entries.Select(e => e.Response).OfType<RangeResponse>())
        {
            foreach (KeyValue item in response.Items)
            {
                revisions[ValueNumber(item.Value)] = item.ModRevision.Value;
            }
        }

        return revisions;
    }

    private static RegisterState StateOf(KeyValue? item) =>
        item is KeyValue value ? new RegisterState(ValueNumber(value.Value), value.Version) : RegisterState.Absent;
}
