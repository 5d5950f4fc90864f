using System.Runtime.CompilerServices;
using MetaStore.Engine;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>Snapshots over the protocol: every byte in order, and no more under way than somebody takes.</summary>
public sealed class SnapshotTests
{
    [Fact]
    public async Task EveryByteComes_InOrder_WhateverTheSizesOfPieces()
    {
        byte[] all = new byte[5 << 20];
        new Random(1).NextBytes(all);
        int[] sizes = [1, 700_000, 2_000_000, 16, 1_000_000];
        var options = new BinaryServerOptions { Endpoint = ServedNode.Options.Endpoint, FrameBytesMax = 1 << 20, RequestBytesMax = 1 << 20 };
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Snapshot = cancel => Pieces(all, sizes, cancel) }, options);
        await using MetaStoreClient client = served.Connect();
        for (int round = 0; round < 2; round++)
        {
            var came = new List<byte>();
            await foreach (ReadOnlyMemory<byte> piece in client.SnapshotAsync())
            {
                Assert.InRange(piece.Length, 1, 1 << 20);
                came.AddRange(piece.ToArray());
            }

            Assert.True(all.AsSpan().SequenceEqual(came.ToArray()));
        }

        await Until(() => served.Server.WatchesInFlight == 0, "nothing is under way any more");
    }

    [Fact]
    public async Task WhatIsNotTaken_IsNotMade()
    {
        int made = 0;
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Snapshot = Endless });
        await using MetaStoreClient client = served.Connect();
        await using IAsyncEnumerator<ReadOnlyMemory<byte>> snapshot = client.SnapshotAsync().GetAsyncEnumerator();
        Assert.True(await snapshot.MoveNextAsync());

        // Others are served meanwhile, on the same connection.
        for (int i = 0; i < 200; i++)
        {
            await client.PutAsync(Put("k"));
        }

        int before = Volatile.Read(ref made);
        Assert.InRange(before, 1, 60);
        for (int i = 0; i < 200; i++)
        {
            Assert.True(await snapshot.MoveNextAsync());
        }

        Assert.True(Volatile.Read(ref made) > before);
        await snapshot.DisposeAsync();
        await Until(() => served.Server.WatchesInFlight == 0, "the snapshot that nobody takes has ended");

        async IAsyncEnumerable<ReadOnlyMemory<byte>> Endless([EnumeratorCancellation] CancellationToken cancel)
        {
            while (true)
            {
                await Task.Yield();
                cancel.ThrowIfCancellationRequested();
                Interlocked.Increment(ref made);
                yield return new byte[100_000];
            }
        }
    }

    [Fact]
    public async Task OneThatBreaksOff_Fails_AndIsNotTakenForWhole()
    {
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Snapshot = Broken });
        await using MetaStoreClient client = served.Connect();
        int came = 0;
        MetaStoreException failure = await Assert.ThrowsAsync<MetaStoreException>(async () =>
        {
            await foreach (ReadOnlyMemory<byte> piece in client.SnapshotAsync())
            {
                came += piece.Length;
            }
        });
        Assert.Equal((MetaStoreError.NodeFailed, 10), (failure.Error, came));

        static async IAsyncEnumerable<ReadOnlyMemory<byte>> Broken([EnumeratorCancellation] CancellationToken cancel)
        {
            await Task.Yield();
            yield return new byte[10];
            throw new MetaStoreException(MetaStoreError.NodeFailed, "gone");
        }
    }

    [Fact]
    public async Task AServerThatStops_EndsIt()
    {
        var never = new TaskCompletionSource();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Snapshot = Waiting });
        await using MetaStoreClient client = served.Connect();
        await using IAsyncEnumerator<ReadOnlyMemory<byte>> snapshot = client.SnapshotAsync().GetAsyncEnumerator();
        Assert.True(await snapshot.MoveNextAsync());
        await served.Server.DisposeAsync();
        MetaStoreException failure = await Assert.ThrowsAsync<MetaStoreException>(async () => await snapshot.MoveNextAsync());
        Assert.Contains(failure.Error, new[] { MetaStoreError.Stopped, MetaStoreError.ConnectionLost });

        async IAsyncEnumerable<ReadOnlyMemory<byte>> Waiting([EnumeratorCancellation] CancellationToken cancel)
        {
            yield return new byte[10];
            await never.Task.WaitAsync(cancel);
        }
    }

    [Fact]
    public async Task FewAreUnderWay_AtATime()
    {
        var never = new TaskCompletionSource();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Snapshot = Waiting });
        await using MetaStoreClient client = served.Connect();
        var open = new List<IAsyncEnumerator<ReadOnlyMemory<byte>>>();
        for (int i = 0; i < 4; i++)
        {
            open.Add(client.SnapshotAsync().GetAsyncEnumerator());
            Assert.True(await open[^1].MoveNextAsync());
        }

        await using (IAsyncEnumerator<ReadOnlyMemory<byte>> more = client.SnapshotAsync().GetAsyncEnumerator())
        {
            Assert.Equal(MetaStoreError.Busy, (await Assert.ThrowsAsync<MetaStoreException>(async () => await more.MoveNextAsync())).Error);
        }

        foreach (IAsyncEnumerator<ReadOnlyMemory<byte>> snapshot in open)
        {
            await snapshot.DisposeAsync();
        }

        await Until(() => served.Server.WatchesInFlight == 0, "they have ended");
        await using IAsyncEnumerator<ReadOnlyMemory<byte>> next = client.SnapshotAsync().GetAsyncEnumerator();
        Assert.True(await next.MoveNextAsync());

        async IAsyncEnumerable<ReadOnlyMemory<byte>> Waiting([EnumeratorCancellation] CancellationToken cancel)
        {
            yield return new byte[10];
            await never.Task.WaitAsync(cancel);
        }
    }

    /// <summary>History is held back for it: a receiver that stands still must not hold it for ever.</summary>
    [Fact]
    public async Task OneOfWhichNothingIsTaken_IsGivenUp()
    {
        var options = new BinaryServerOptions { Endpoint = ServedNode.Options.Endpoint, RequestTimeoutMax = TimeSpan.FromMilliseconds(100) };
        var ended = new TaskCompletionSource();
        await using ServedNode served = await ServedNode.StartAsync(new FakeNode { Snapshot = Endless }, options);
        await using MetaStoreClient client = served.Connect();
        await using IAsyncEnumerator<ReadOnlyMemory<byte>> snapshot = client.SnapshotAsync().GetAsyncEnumerator();
        Assert.True(await snapshot.MoveNextAsync());
        await ended.Task.WaitAsync(Patience);
        MetaStoreException failure = await Assert.ThrowsAsync<MetaStoreException>(async () =>
        {
            while (await snapshot.MoveNextAsync())
            {
                // What has come already.
            }
        });
        Assert.Equal(MetaStoreError.Timeout, failure.Error);

        async IAsyncEnumerable<ReadOnlyMemory<byte>> Endless([EnumeratorCancellation] CancellationToken cancel)
        {
            try
            {
                while (true)
                {
                    await Task.Yield();
                    yield return new byte[100_000];
                }
            }
            finally
            {
                ended.SetResult();
            }
        }
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Pieces(byte[] all, int[] sizes, [EnumeratorCancellation] CancellationToken cancel)
    {
        // One buffer for all of them: a piece is good until the next alone.
        byte[] buffer = new byte[sizes.Max()];
        int at = 0;
        for (int i = 0; at < all.Length; i++)
        {
            await Task.Yield();
            cancel.ThrowIfCancellationRequested();
            int size = Math.Min(sizes[i % sizes.Length], all.Length - at);
            all.AsSpan(at, size).CopyTo(buffer);
            yield return buffer.AsMemory(0, size);
            buffer.AsSpan().Fill(0xee);
            at += size;
        }
    }
}
