using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>How a reader reads, for <see cref="StoreReader"/> and its twins.</summary>
internal interface IStoreReading
{
    RangeResponse Range(RangeRequest request);

    Revision Visit(in KeyRange range, long revision, ref TextVisitor visitor);
}

internal sealed class RealReading(StoreHolder stores, VisitSizes? sizes = null) : IStoreReading
{
    private readonly StoreReader _reader = new(stores, 1, 1, () => 1, sizes);

    public RangeResponse Range(RangeRequest request) => _reader.Range(request, null);

    public Revision Visit(in KeyRange range, long revision, ref TextVisitor visitor) => _reader.Visit(range, revision, ref visitor);
}

/// <summary>Writes down what it is shown. In the middle of each item others may come in.</summary>
internal struct TextVisitor() : IKeyValueVisitor
{
    public StringBuilder Text { get; } = new();

    public readonly bool Visit(in KeyValueView item)
    {
        SchedulePoint.Hit();
        StoreModel.Append(Text, item.Key, item.Value);
        return true;
    }
}

/// <summary>How the writer makes its changes visible, for the store and its twins.</summary>
internal interface IStoreWriting
{
    /// <summary>Prepares through the revision, compacts at the other where that is not 0, and publishes.</summary>
    void Write(StoreModel model, MvccStore store, long through, long compactAt);

    /// <summary>Gives back what was compacted, a slice; false where nothing is left to do.</summary>
    bool Cut(MvccStore store);
}

internal sealed class RealWriting : IStoreWriting
{
    public void Write(StoreModel model, MvccStore store, long through, long compactAt)
    {
        model.WriteThrough(store, through);
        if (compactAt > 0)
        {
            store.Compact(compactAt);
        }

        StoreModel.Publish(store);
    }

    public bool Cut(MvccStore store) => store.Cutter.RunSlice(2);
}

/// <summary>What a reader does.</summary>
/// <param name="Revision">The revision to ask for; 0 for the newest.</param>
/// <param name="Visits">By way of <c>StoreReader.Visit</c>, not of <c>Range</c>.</param>
/// <param name="Key">One key; null for all.</param>
/// <param name="Times">How often.</param>
/// <param name="AndBehind">All keys behind that one as well.</param>
internal sealed record ReaderPlan(long Revision, bool Visits, string? Key = null, int Times = 1, bool AndBehind = false);

/// <summary>
/// The whole store: a writer publishes batches, compacts, and gives history back in slices; readers read now or at an old revision. What a reader gets is what the
/// model says of the revision that it was told, of one that was published, and of none older than it saw before; only who asks for an old revision may hear that it is compacted. When all have left
/// no block waits any more, and as many are in use as after any other schedule.
/// </summary>
internal sealed class StoreScenario : Scenario
{
    private const int ApplyIndexBefore = 1;

    private readonly StoreModel _model;
    private readonly long _begun;
    private readonly (long Through, long CompactAt)[] _batches;
    private readonly ReaderPlan[] _plans;
    private readonly Func<StoreHolder, IStoreReading> _reading;
    private readonly Func<IStoreWriting> _writing;
    private readonly bool _visitsExpire;
    private readonly RangeRequest[] _requests;
    private readonly KeyRange[] _ranges;
    private MvccStore _store = null!;
    private IStoreReading _reader = null!;
    private IStoreWriting _writer = null!;
    private long _blocks;

    /// <param name="model">What is written.</param>
    /// <param name="begun">The revision that is published before anybody runs.</param>
    /// <param name="batches">What the writer publishes after that.</param>
    /// <param name="plans">The readers.</param>
    /// <param name="reading">How they read.</param>
    /// <param name="writing">How it is written.</param>
    /// <param name="visitsExpire">Each visit takes too long for whatever is compacted meanwhile.</param>
    public StoreScenario(
        StoreModel model,
        long begun,
        (long Through, long CompactAt)[] batches,
        ReaderPlan[] plans,
        Func<StoreHolder, IStoreReading>? reading = null,
        Func<IStoreWriting>? writing = null,
        bool visitsExpire = false)
    {
        _visitsExpire = visitsExpire;
        (_model, _begun, _batches, _plans) = (model, begun, batches, plans);
        _reading = reading ?? (static stores => new RealReading(stores));
        _writing = writing ?? (static () => new RealWriting());
        Threads = ["writer", .. plans.Select((plan, i) => $"reader {i + 1}")];
        _requests = [.. plans.Select(plan => new RangeRequest
        {
            Key = Encoding.UTF8.GetBytes(plan.Key ?? "\0"),
            RangeEnd = plan.Key is null || plan.AndBehind ? new byte[] { 0 } : default,
            Revision = new Revision(plan.Revision),
        })];
        _ranges = [.. _requests.Select(request => KeyRange.From(request.Key, request.RangeEnd))];
    }

    public override IReadOnlyList<string> Threads { get; }

    public override void Begin()
    {
        _store = _model.NewStore();
        if (_visitsExpire)
        {
            _store.Pins.ExpireAfter(TimeSpan.MinValue, TimeProvider.System);
        }

        _writer = _writing();
        _writer.Write(_model, _store, _begun, 0);
        _reader = _reading(new StoreHolder(_store));
    }

    public override void Run(int thread)
    {
        if (thread == 0)
        {
            Write();
            return;
        }

        long seen = 0;
        for (int i = 0; i < _plans[thread - 1].Times; i++)
        {
            seen = Read(thread - 1, seen);
        }
    }

    public override void End()
    {
        while (_writer.Cut(_store))
        {
            // What readers and pins held back goes now.
        }

        StoreModel.Publish(_store);
        Require(_store.Memory.Retired == 0, $"{_store.Memory.Retired} blocks are never freed");
        Require(_blocks == 0 || _blocks == _store.Memory.LiveBlocks, $"{_store.Memory.LiveBlocks} blocks are in use at the end; {_blocks} were after another schedule");
        _blocks = _store.Memory.LiveBlocks;
        Require(_store.View.AppliedIndex > ApplyIndexBefore, "nothing was published");
    }

    public override void Discard() => _store.Memory.Dispose();

    private void Write()
    {
        foreach ((long through, long compactAt) in _batches)
        {
            _writer.Write(_model, _store, through, compactAt);
            if (compactAt > 0)
            {
                while (_writer.Cut(_store))
                {
                    // A slice after the other, as the apply loop does between batches.
                }
            }
        }
    }

    private long Read(int reader, long seen)
    {
        ReaderPlan plan = _plans[reader];
        long revision;
        string text;
        try
        {
            (revision, text) = plan.Visits ? Visit(reader) : Range(reader);
        }
        catch (MetaStoreException e) when ((plan.Revision > 0 || (_visitsExpire && e is CompactedException)) && e.Error == MetaStoreError.Compacted)
        {
            return seen;
        }

        bool isPublished = plan.Revision > 0 || revision == _begun || Array.Exists(_batches, batch => batch.Through == revision);
        Require(isPublished, $"a reader saw revision {revision}, the middle of a batch");
        Require(revision >= seen, $"a reader saw revision {revision} after {seen}");
        string expected = _model.At(plan.Revision > 0 ? plan.Revision : revision);
        bool isRight = plan.Key is null ? text == expected : text.Length == 0 ? !expected.Contains(plan.Key + "=") : expected.Contains(text);
        Require(isRight, $"at revision {revision} a reader saw '{text}', not '{expected}'");
        return revision;
    }

    private (long Revision, string Text) Range(int reader)
    {
        RangeResponse response = _reader.Range(_requests[reader]);
        Require(response.Count == response.Items.Count, $"a reader was told of {response.Count} keys, and shown {response.Items.Count}");
        return (response.Header.Revision.Value, StoreModel.TextOf(response));
    }

    private (long Revision, string Text) Visit(int reader)
    {
        var visitor = new TextVisitor();
        Revision revision = _reader.Visit(_ranges[reader], _plans[reader].Revision, ref visitor);
        return (revision.Value, visitor.Text.ToString());
    }
}
