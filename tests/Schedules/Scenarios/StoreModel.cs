using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Schedules.Scenarios;

/// <summary>
/// A store that is written by a script, and what it must say at each revision. Each step is one revision: puts, or a removal where the value is null. The states are worked out
/// once, in a model that is a dictionary.
/// </summary>
internal sealed class StoreModel
{
    private readonly (string Key, string? Value)[][] _steps;
    private readonly byte[][][] _keys;
    private readonly byte[][][] _values;
    private readonly string[] _states;

    /// <param name="first">The revision that the store has before the first step.</param>
    /// <param name="steps">What the revisions behind it do.</param>
    public StoreModel(long first, params (string Key, string? Value)[][] steps)
    {
        First = first;
        _steps = steps;
        _keys = [.. steps.Select(step => step.Select(change => Encoding.UTF8.GetBytes(change.Key)).ToArray())];
        _values = [.. steps.Select(step => step.Select(change => Encoding.UTF8.GetBytes(change.Value ?? "")).ToArray())];
        _states = new string[steps.Length + 1];
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        _states[0] = "";
        for (int i = 0; i < steps.Length; i++)
        {
            foreach ((string key, string? value) in steps[i])
            {
                if (value is null)
                {
                    state.Remove(key);
                }
                else
                {
                    state[key] = value;
                }
            }

            _states[i + 1] = string.Concat(state.Select(entry => $"{entry.Key}={entry.Value} "));
        }
    }

    public long First { get; }

    public long Last => First + _steps.Length;

    /// <summary>What a read of everything at the revision gives.</summary>
    public string At(long revision) => _states[revision - First];

    /// <summary>The value that the revision gave its first key; null for a removal.</summary>
    public string? ValueOf(long revision) => _steps[revision - First - 1][0].Value;

    public MvccStore NewStore()
    {
        var memory = new StoreMemory();
        return new MvccStore(memory, new Engine.Index.KeyIndexBuilder(memory), new EventLog(memory), new StoreView
        {
            Revision = First,
            CompactRevision = 0,
            Index = default,
            AppliedIndex = 0,
            AppliedTerm = 0,
            Digest = 0,
        });
    }

    /// <summary>Prepares the next revisions, through <paramref name="last"/>.</summary>
    public void WriteThrough(MvccStore store, long last)
    {
        while (store.Revision < last)
        {
            long revision = store.Revision + 1;
            int step = (int)(revision - First - 1);
            for (int i = 0; i < _steps[step].Length; i++)
            {
                if (_steps[step][i].Value is null)
                {
                    store.Delete(revision, store.Unpublished.Find(_keys[step][i]));
                }
                else
                {
                    store.Put(revision, _keys[step][i], _values[step][i], 0);
                }
            }

            store.CommitRevision(revision);
        }
    }

    /// <summary>What is prepared becomes visible.</summary>
    public static void Publish(MvccStore store) => store.Publish(store.View.AppliedIndex + 1, 1);

    /// <summary>What a read gave, as <see cref="At"/> has it.</summary>
    public static string TextOf(RangeResponse response)
    {
        var text = new StringBuilder();
        foreach (KeyValue item in response.Items)
        {
            Append(text, item.Key.Span, item.Value.Span);
        }

        return text.ToString();
    }

    public static void Append(StringBuilder text, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        Append(text, key);
        text.Append('=');
        Append(text, value);
        text.Append(' ');
    }

    private static void Append(StringBuilder text, ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes)
        {
            text.Append((char)b);
        }
    }
}
