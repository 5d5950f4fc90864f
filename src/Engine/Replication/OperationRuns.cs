namespace MetaStore.Engine.Replication;

/// <summary>A run of consecutive requests of one kind: [PUT, PUT, DELETE, PUT, TXN] is four runs.</summary>
internal readonly record struct OperationRun(Type Kind, int Start, int Count);

/// <summary>Splits a batch into runs. Order is never changed, only grouped: a run can be prepared as one.</summary>
internal static class OperationRuns
{
    public static IEnumerable<OperationRun> Split(IReadOnlyList<StoreRequest> requests)
    {
        int start = 0;
        for (int i = 1; i <= requests.Count; i++)
        {
            if (i == requests.Count || requests[i].GetType() != requests[start].GetType())
            {
                yield return new OperationRun(requests[start].GetType(), start, i - start);
                start = i;
            }
        }
    }
}
