using System.Buffers;
using System.IO.Pipelines;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Tests.Rpc;

/// <summary>What is held of answers that nobody reads.</summary>
public sealed class UnreadAnswersTests
{
    private static readonly byte[] s_full = new byte[100];

    [Fact]
    public async Task WhatIsTaken_IsNotCounted_AndWhatWaits_IsUntilItIsRead()
    {
        var unread = new UnreadAnswers(1000);
        Pipe pipe = Narrow();
        using UnreadAnswers.Answer answer = unread.Of(CancellationToken.None);
        pipe.Writer.Write(s_full.AsSpan(0, 50));
        await answer.FlushAsync(pipe.Writer, held: 700);
        Assert.Equal(0, unread.Bytes);

        Task waiting = FlushAsync(answer, pipe, held: 700);
        Assert.Equal(700, unread.Bytes);
        await ReadAllAsync(pipe);

        await waiting.WaitAsync(Support.Patience);
        Assert.Equal(0, unread.Bytes);
    }

    [Fact]
    public async Task WhoseCallerHasTakenNothingForLongest_MakesRoom()
    {
        var unread = new UnreadAnswers(1000);
        Pipe[] pipes = [Narrow(), Narrow(), Narrow()];
        UnreadAnswers.Answer[] answers = [.. pipes.Select(_ => unread.Of(CancellationToken.None))];
        Task first = FlushAsync(answers[0], pipes[0], held: 400);
        Task second = FlushAsync(answers[1], pipes[1], held: 400);
        await ReadAllAsync(pipes[0]);
        await first.WaitAsync(Support.Patience);
        first = FlushAsync(answers[0], pipes[0], held: 400); // It goes on, and waits anew.

        Task third = FlushAsync(answers[2], pipes[2], held: 400);

        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => second.WaitAsync(Support.Patience));
        Assert.Equal(StatusCode.ResourceExhausted, refused.Code);
        Assert.Equal(800, unread.Bytes);
        Assert.False(first.IsCompleted || third.IsCompleted);
        await ReadAllAsync(pipes[0]);
        await ReadAllAsync(pipes[2]);
        await Task.WhenAll(first, third).WaitAsync(Support.Patience);
        Assert.Equal(0, unread.Bytes);
    }

    [Fact]
    public async Task OneAlone_MayBeLarger_UntilAnotherComes()
    {
        var unread = new UnreadAnswers(1000);
        Pipe large = Narrow();
        Pipe small = Narrow();
        Task alone = FlushAsync(unread.Of(CancellationToken.None), large, held: 5000);
        Assert.Equal(5000, unread.Bytes);
        Assert.False(alone.IsCompleted);

        Task other = FlushAsync(unread.Of(CancellationToken.None), small, held: 10);

        await Assert.ThrowsAsync<RpcException>(() => alone.WaitAsync(Support.Patience));
        Assert.False(other.IsCompleted);
        Assert.Equal(10, unread.Bytes);
    }

    [Fact]
    public async Task ACallThatEnds_IsCountedNoMore()
    {
        var unread = new UnreadAnswers(1000);
        using var ended = new CancellationTokenSource();
        using UnreadAnswers.Answer answer = unread.Of(ended.Token);
        Task waiting = FlushAsync(answer, Narrow(), held: 400);

        await ended.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Support.Patience));
        Assert.Equal(0, unread.Bytes);
    }

    /// <summary>Takes 60 bytes before whoever writes has to wait.</summary>
    private static Pipe Narrow() => new(new PipeOptions(pauseWriterThreshold: 60, resumeWriterThreshold: 1));

    private static Task FlushAsync(UnreadAnswers.Answer answer, Pipe pipe, long held)
    {
        pipe.Writer.Write(s_full);
        return answer.FlushAsync(pipe.Writer, held).AsTask();
    }

    private static async Task ReadAllAsync(Pipe pipe)
    {
        ReadResult read = await pipe.Reader.ReadAsync();
        pipe.Reader.AdvanceTo(read.Buffer.End);
    }
}
