using MetaStore.Engine.Replication;

namespace MetaStore.Engine.Tests;

public class ProposerTests
{
    private readonly SteppedNode.ManualTime _time = new();
    private readonly PendingOperationPool _pool = new(runContinuationsAsynchronously: false);

    [Fact]
    public void An_idle_pipeline_sends_a_lone_operation_at_once()
    {
        Proposer proposer = New(ProposerOptions.LowLatency);
        Add(proposer);
        Assert.NotNull(proposer.TryTakeBatch(appendUnderWay: false, out _));
    }

    [Fact]
    public void While_an_append_is_under_way_operations_gather_until_full()
    {
        Proposer proposer = New(ProposerOptions.LowLatency);
        for (int i = 0; i < 9; i++)
        {
            Add(proposer);
            Assert.Null(proposer.TryTakeBatch(appendUnderWay: true, out _));
        }

        Add(proposer);
        ReadOnlyMemory<byte>? batch = proposer.TryTakeBatch(appendUnderWay: true, out _);
        Assert.Equal(10, CommandBatch.Decode(batch!.Value).Length);
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 10)]
    public void The_first_operation_waits_no_longer_than_its_profile_says(bool highThroughput, int milliseconds)
    {
        Proposer proposer = New(highThroughput ? ProposerOptions.HighThroughput : ProposerOptions.LowLatency);
        Add(proposer);
        Assert.Equal(_time.GetTimestamp() + (milliseconds * 1_000_000L), proposer.NextDeadline(appendUnderWay: true));
        _time.Advance(TimeSpan.FromMilliseconds(milliseconds - 0.1));
        Assert.Null(proposer.TryTakeBatch(appendUnderWay: true, out _));
        _time.Advance(TimeSpan.FromMilliseconds(0.2));
        Assert.NotNull(proposer.TryTakeBatch(appendUnderWay: true, out _));
    }

    [Fact]
    public void Many_operations_need_no_more_batches_than_their_number_divided_by_the_batch_size()
    {
        Proposer proposer = New(ProposerOptions.HighThroughput);
        for (int i = 0; i < 1050; i++)
        {
            Add(proposer);
        }

        int batches = 0;
        while (proposer.TryTakeBatch(appendUnderWay: false, out _) is not null)
        {
            batches++;
        }

        Assert.Equal(11, batches);
    }

    [Fact]
    public void What_was_put_back_keeps_its_place()
    {
        Proposer proposer = New(new ProposerOptions { BatchOperationsMax = 2 });
        PendingOperation[] operations = [Add(proposer), Add(proposer), Add(proposer)];
        proposer.TryTakeBatch(false, out BatchId first);
        proposer.PutBack(first);
        proposer.TryTakeBatch(false, out BatchId again);
        Assert.Equal(operations[..2], proposer.Take(again));
        proposer.TryTakeBatch(false, out BatchId last);
        Assert.Equal(operations[2..], proposer.Take(last));
    }

    [Fact]
    public void Of_what_expires_only_what_never_left_is_known_not_to_have_been_applied()
    {
        Proposer proposer = New(ProposerOptions.LowLatency);
        PendingOperation sent = Add(proposer);
        ValueTask<PutResponse> sentTask = new(sent, sent.Token);
        proposer.TryTakeBatch(false, out _);
        PendingOperation queued = Add(proposer);
        ValueTask<PutResponse> queuedTask = new(queued, queued.Token);
        _time.Advance(TimeSpan.FromSeconds(2));
        proposer.Expire(_time.GetTimestamp());
        MetaStoreException unknown = Assert.Throws<MetaStoreException>(() => sentTask.GetAwaiter().GetResult());
        Assert.Equal(Outcome.Unknown, unknown.Outcome);
        Assert.DoesNotContain("applied", unknown.Message, StringComparison.Ordinal); // the outcome says it; whoever prints both says it once
        Assert.Equal(Outcome.NotApplied, Assert.Throws<MetaStoreException>(() => queuedTask.GetAwaiter().GetResult()).Outcome);
        Assert.Equal(0, _pool.Rented);
    }

    [Fact]
    public async Task A_late_completion_does_not_reach_the_next_user_of_a_handle()
    {
        Proposer proposer = New(ProposerOptions.LowLatency);
        using var cancellation = new CancellationTokenSource();
        PendingOperation handle = _pool.Rent();
        var request = new PutRequest { Key = "k"u8.ToArray() };
        handle.Begin(request, StoreRequestCodec.GetLength(request), 0, long.MaxValue, queued: true, cancellation.Token);
        var task = new ValueTask<PutResponse>(handle, handle.Token);
        proposer.Add(handle);
        proposer.TryTakeBatch(false, out BatchId id);
        await cancellation.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(async () => await task);

        // The pipeline still holds it: nobody else can have it before the pipeline has let go.
        PendingOperation other = _pool.Rent();
        Assert.NotSame(handle, other);
        Assert.False(handle.TryComplete(new PutResponse()));
        proposer.Take(id)![0].ReleaseByPipeline();
        Assert.Equal(1, _pool.Rented);
        Assert.Throws<InvalidOperationException>(() => task.GetAwaiter().GetResult());
    }

    [Fact]
    public async Task Cancelled_in_the_queue_a_write_is_never_proposed_and_its_caller_is_told_so()
    {
        Proposer proposer = New(ProposerOptions.LowLatency);
        using var cancellation = new CancellationTokenSource();
        PendingOperation first = Add(proposer);
        var firstTask = new ValueTask<PutResponse>(first, first.Token);
        PendingOperation cancelled = Add(proposer, cancellation.Token);
        var cancelledTask = new ValueTask<PutResponse>(cancelled, cancelled.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAsync<OperationNotProposedException>(async () => await cancelledTask);
        proposer.TryTakeBatch(false, out BatchId id);
        Assert.Same(first, Assert.Single(proposer.Take(id)!));
        first.TryComplete(new PutResponse());
        first.ReleaseByPipeline();
        await firstTask;
        Assert.Equal(0, _pool.Rented);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancelled_in_a_batch_a_write_has_an_open_outcome_unless_the_batch_was_put_back(bool putBack)
    {
        Proposer proposer = New(ProposerOptions.LowLatency);
        using var cancellation = new CancellationTokenSource();
        PendingOperation operation = Add(proposer, cancellation.Token);
        var task = new ValueTask<PutResponse>(operation, operation.Token);
        proposer.TryTakeBatch(false, out BatchId id);
        if (putBack)
        {
            proposer.PutBack(id);
        }

        await cancellation.CancelAsync();
        Exception failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await task);
        Assert.Equal(putBack, failure is OperationNotProposedException);
        Assert.Equal(putBack, proposer.Take(id) is null);
        if (putBack)
        {
            Assert.Null(proposer.TryTakeBatch(false, out _));
            Assert.Equal(0, _pool.Rented);
        }
    }

    [Fact]
    public void Wrong_options_are_refused_by_name()
    {
        Assert.Contains("BatchOperationsMax (0)", Assert.Throws<ArgumentException>(() => new ProposerOptions { BatchOperationsMax = 0 }.Validate()).Message, StringComparison.Ordinal);
        Assert.Contains("BatchDelayMax", Assert.Throws<ArgumentException>(() => new ProposerOptions { BatchDelayMax = TimeSpan.FromSeconds(-1) }.Validate()).Message, StringComparison.Ordinal);
    }

    private Proposer New(ProposerOptions options) => new(options, _time, 42);

    private PendingOperation Add(Proposer proposer, CancellationToken cancellation = default)
    {
        PendingOperation operation = _pool.Rent();
        var request = new PutRequest { Key = "k"u8.ToArray() };
        operation.Begin(request, StoreRequestCodec.GetLength(request), _time.GetTimestamp(), _time.GetTimestamp() + 1_000_000_000, queued: true, cancellation);
        proposer.Add(operation);
        return operation;
    }
}
