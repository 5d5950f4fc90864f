using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>A whole node: on real threads and a real disk, and stepped on a disk that fails.</summary>
public class NodeTests
{
    [Fact]
    public void While_an_append_is_under_way_an_operation_wakes_the_node_loop_only_where_it_fills_the_batch()
    {
        using var node = new SteppedNode();
        ILoop loop = node.Core.Loops.Single(candidate => candidate.Name == "node");
        List<ValueTask<PutResponse>> puts = [];
        Assert.True(Wakes());
        while (loop.RunOnce())
        {
            // Until the append is with the log, which does not run.
        }

        for (int i = 0; i < ProposerOptions.LowLatency.BatchOperationsMax - 1; i++)
        {
            Assert.False(Wakes());
        }

        Assert.True(Wakes());
        Assert.True(loop.NextWake > node.Time.GetTimestamp() + (node.Time.TimestampFrequency / 1000), "nothing that is handed out earlier is committed earlier");
        node.Settle();
        Assert.All(puts, put => Assert.True(put.IsCompletedSuccessfully));
        Assert.True(Wakes());

        bool Wakes()
        {
            int before = node.Signals.GetValueOrDefault("node");
            puts.Add(node.Core.PutAsync(new PutRequest { Key = "k"u8.ToArray() }));
            return node.Signals.GetValueOrDefault("node") > before;
        }
    }

    [Fact]
    public void Where_others_could_be_ahead_of_the_own_disk_the_first_operation_of_a_batch_wakes_the_node_loop_to_give_it_a_time()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        int leader = (int)cluster.Nodes[0].Node.Status.Leader.Value - 1;
        ILoop loop = cluster.Nodes[leader].Loops.Single(candidate => candidate.Name == "node");
        Assert.True(Wakes());
        RunNodeLoop();

        Assert.True(Wakes());
        RunNodeLoop();
        Assert.InRange(loop.NextWake, 0, cluster.Time.GetTimestamp() + (cluster.Time.TimestampFrequency / 1000));
        for (int i = 2; i < ProposerOptions.LowLatency.BatchOperationsMax; i++)
        {
            Assert.False(Wakes());
        }

        Assert.True(Wakes());

        bool Wakes()
        {
            int before = cluster.SignalsOf(leader, "node");
            _ = cluster.Nodes[leader].PutAsync(new PutRequest { Key = "k"u8.ToArray() }).AsTask();
            return cluster.SignalsOf(leader, "node") > before;
        }

        void RunNodeLoop()
        {
            while (loop.RunOnce())
            {
                // Until the append is with the log, which does not run.
            }
        }
    }

    [Fact]
    public async Task Readers_never_see_half_a_transaction_while_writers_and_compactions_go_on()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
        try
        {
            await using MetaStoreNode node = MetaStoreNode.OpenSingle(directory);
            await PutBoth(node, 0);
            using var done = new CancellationTokenSource();
            Task<long>[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(() => ReadBoth(node, done.Token)))];
            Task[] writers = [.. Enumerable.Range(0, 4).Select(w => Task.Run(async () =>
            {
                for (int i = 1; i <= 300; i++)
                {
                    TxnResponse written = await PutBoth(node, (w * 1000) + i);
                    if (i % 50 == 0)
                    {
                        await CompactTo(node, written.Header.Revision);
                    }
                }
            }))];
            await Task.WhenAll(writers);
            await done.CancelAsync();
            foreach (Task<long> reader in readers)
            {
                Assert.True(await reader > 0, "the reader read");
            }

            Assert.Equal(1202, (await node.StatusAsync()).Header.Revision.Value);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task What_was_acknowledged_is_there_after_a_stop_and_a_start()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
        try
        {
            await using (MetaStoreNode node = MetaStoreNode.OpenSingle(directory))
            {
                await Task.WhenAll(Enumerable.Range(0, 500).Select(i => node.PutAsync(new PutRequest { Key = Encoding.ASCII.GetBytes($"k{i:D4}") }).AsTask()));
            }

            await using MetaStoreNode again = MetaStoreNode.OpenSingle(directory);
            RangeResponse all = await again.RangeAsync(new RangeRequest { Key = "k"u8.ToArray(), RangeEnd = "l"u8.ToArray() });
            Assert.Equal(500, all.Count);
            Assert.Equal(501, all.Header.Revision.Value);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task A_stopped_node_says_so()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
        MetaStoreNode node = MetaStoreNode.OpenSingle(directory);
        await node.DisposeAsync();
        MetaStoreException error = await Assert.ThrowsAsync<MetaStoreException>(async () => await node.PutAsync(new PutRequest { Key = "k"u8.ToArray() }));
        Assert.Equal((MetaStoreError.Stopped, Outcome.NotApplied), (error.Error, error.Outcome));
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>The log begins behind a snapshot. Without that snapshot, what lies between is missing, and nothing may be served.</summary>
    [Fact]
    public void A_state_older_than_where_the_log_begins_is_refused()
    {
        using var node = new SteppedNode(new SnapshotOptions { EntriesMin = 20 });
        for (int i = 0; i < 100; i++)
        {
            node.Run(new PutRequest { Key = "k"u8.ToArray() });
        }

        node.Core.Dispose();
        string[] snapshots = [.. node.Disk.ListFiles("/data/snap")];
        Assert.NotEmpty(snapshots);
        foreach (string snapshot in snapshots)
        {
            node.Disk.Delete($"/data/snap/{snapshot}");
        }

        CorruptionException refused = Assert.Throws<CorruptionException>(() => node.Restart(CrashPolicy.KeepAll));
        Assert.Contains("the newest snapshot is of index 0", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void After_a_failed_sync_nothing_is_acknowledged_any_more()
    {
        using var node = new SteppedNode();
        node.Run(new PutRequest { Key = "before"u8.ToArray() });
        node.Disk.Faults = new DiskFaults { ErrorProbability = 1, FailingOperations = DiskOperation.Sync };
        ValueTask<PutResponse> lost = node.Core.PutAsync(new PutRequest { Key = "lost"u8.ToArray() });
        Assert.Throws<NodeFailedException>(node.Settle);
        node.Disk.Faults = new DiskFaults();
        foreach (ILoop loop in node.Core.Loops)
        {
            loop.RunOnce();
        }

        MetaStoreException error = Assert.Throws<MetaStoreException>(() => lost.GetAwaiter().GetResult());
        Assert.Equal((MetaStoreError.NodeFailed, Outcome.Unknown), (error.Error, error.Outcome));
        Assert.Contains("sync", error.Message, StringComparison.Ordinal);
        MetaStoreException later = Assert.Throws<MetaStoreException>(() => { _ = node.Core.PutAsync(new PutRequest { Key = "later"u8.ToArray() }); });
        Assert.Equal((MetaStoreError.NodeFailed, Outcome.NotApplied), (later.Error, later.Outcome));
        Assert.Equal(0, node.Core.OperationsRented);
    }

    [Fact]
    public async Task More_than_the_queue_takes_is_answered_busy_and_nothing_is_lost()
    {
        using var node = new SteppedNode(proposer: new ProposerOptions { OperationsMax = 3 });
        ValueTask<PutResponse>[] taken = [.. Enumerable.Range(0, 3).Select(i => node.Core.PutAsync(new PutRequest { Key = new[] { (byte)(i + 1) } }))];
        MetaStoreException busy = Assert.Throws<MetaStoreException>(() => { _ = node.Core.PutAsync(new PutRequest { Key = "k"u8.ToArray() }); });
        Assert.Equal((MetaStoreError.Busy, Outcome.NotApplied), (busy.Error, busy.Outcome));
        node.Settle();
        Assert.All(taken, task => Assert.True(task.IsCompletedSuccessfully));
        foreach (ValueTask<PutResponse> task in taken)
        {
            await task;
        }

        Assert.Equal("@5 put", node.Run(new PutRequest { Key = "k"u8.ToArray() }));
    }

    [Fact]
    public void Writes_that_wait_take_so_many_bytes_and_keep_no_read_out()
    {
        using var node = new SteppedNode(proposer: new ProposerOptions { OperationsMax = 3, OperationsBytesMax = 2000 });
        var large = new PutRequest { Key = "k"u8.ToArray(), Value = new byte[1500] };
        ValueTask<PutResponse> first = node.Core.PutAsync(large);
        MetaStoreException busy = Assert.Throws<MetaStoreException>(() => { _ = node.Core.PutAsync(large); });
        Assert.Equal((MetaStoreError.Busy, Outcome.NotApplied), (busy.Error, busy.Outcome));
        Assert.Contains("and 2000 may be", busy.Message, StringComparison.Ordinal);
        ValueTask<PutResponse>[] small = [.. Enumerable.Range(0, 2).Select(_ => node.Core.PutAsync(new PutRequest { Key = "s"u8.ToArray() }))];
        ValueTask<RangeResponse> read = node.Core.RangeAsync(new RangeRequest { Key = "k"u8.ToArray() });

        Assert.InRange(node.Wait(read).Header.Revision.Value, 1, 4);
        node.Wait(first);
        Assert.All(small, put => node.Wait(put));
        Assert.Equal("@5 put", node.Run(new PutRequest { Key = "k"u8.ToArray(), Value = new byte[3000] }));
    }

    [Fact]
    public void A_snapshot_is_taken_when_the_log_has_outgrown_the_last_one_and_old_segments_go()
    {
        using var node = new SteppedNode(new SnapshotOptions { EntriesMin = 50, SliceBytes = 1000, EntriesKept = 0 });
        for (int i = 0; i < 2000; i++)
        {
            node.Run(new PutRequest { Key = new[] { (byte)(i % 7), (byte)1 }, Value = new byte[500] });
        }

        StatusResponse status = node.Wait(node.Core.StatusAsync());

        // History is kept, so each snapshot is larger than the last, and the log may grow as large before the next.
        Assert.InRange(status.SnapshotIndex, (status.AppliedIndex / 2) - 100, status.AppliedIndex);
        Assert.InRange(status.DiskBytes, 1, 2_500_000);
        uint before = node.Wait(node.Core.HashAsync(new HashRequest(Revision.Current))).Hash;
        node.Restart(CrashPolicy.LoseAll);
        Assert.Equal(before, node.Wait(node.Core.HashAsync(new HashRequest(Revision.Current))).Hash);
    }

    private static ValueTask<TxnResponse> PutBoth(MetaStoreNode node, int value)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(value.ToString());
        return node.TxnAsync(new TxnRequest
        {
            Success = [new PutRequest { Key = "a"u8.ToArray(), Value = bytes }, new PutRequest { Key = "b"u8.ToArray(), Value = bytes }],
        });
    }

    private static async Task CompactTo(MetaStoreNode node, Revision revision)
    {
        try
        {
            await node.CompactAsync(new CompactRequest(revision));
        }
        catch (MetaStoreException error) when (error.Error == MetaStoreError.Compacted)
        {
            // Another writer compacted beyond it.
        }
    }

    private static async Task<long> ReadBoth(MetaStoreNode node, CancellationToken done)
    {
        long reads = 0;
        var old = Revision.Current;
        while (!done.IsCancellationRequested)
        {
            RangeResponse both;
            try
            {
                both = await node.RangeAsync(new RangeRequest { Key = "a"u8.ToArray(), RangeEnd = "c"u8.ToArray(), Serializable = true, Revision = old });
            }
            catch (MetaStoreException error) when (error.Error == MetaStoreError.Compacted)
            {
                old = Revision.Current;
                continue;
            }

            Assert.Equal(2, both.Items.Count);
            Assert.Equal(both.Items[0].ModRevision, both.Items[1].ModRevision);
            Assert.True(both.Items[0].Value.Span.SequenceEqual(both.Items[1].Value.Span), "both keys hold the value of one transaction");
            old = reads % 2 == 0 ? both.Items[0].ModRevision : Revision.Current;
            reads++;
        }

        return reads;
    }
}
