using System.Buffers;
using System.IO.Pipelines;

namespace MetaStore.Fuzz.Running;

/// <summary>Bytes as they may arrive: in pieces.</summary>
internal static class Pieces
{
    /// <summary>Cuts the bytes: pattern 0 leaves them whole, others make pieces of changing lengths from 1 on.</summary>
    public static ReadOnlySequence<byte> Cut(ReadOnlyMemory<byte> bytes, byte pattern)
    {
        if (pattern == 0 || bytes.Length < 2)
        {
            return new ReadOnlySequence<byte>(bytes);
        }

        Piece? first = null;
        Piece? last = null;
        for (int at = 0, turn = 0; at < bytes.Length; turn++)
        {
            int length = Math.Min(1 + ((pattern * (turn + 1)) & 31), bytes.Length - at);
            last = new Piece(bytes.Slice(at, length), last);
            first ??= last;
            at += length;
        }

        return new ReadOnlySequence<byte>(first!, 0, last!, last!.Memory.Length);
    }

    /// <summary>A body of these bytes, all of which are there.</summary>
    public static PipeReader Body(ReadOnlyMemory<byte> bytes, byte pattern)
    {
        if (!bytes.IsEmpty)
        {
            return PipeReader.Create(Cut(bytes, pattern));
        }

        var nothing = new Pipe();
        nothing.Writer.Complete();
        return nothing.Reader;
    }

    /// <summary>The result of what must not have to wait for anything.</summary>
    public static T Finished<T>(ValueTask<T> task)
    {
        FuzzFailure.Unless(task.IsCompleted, "it waits for what never comes");
        return task.GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="Finished{T}(ValueTask{T})"/>
    public static void Finished(Task task)
    {
        FuzzFailure.Unless(task.IsCompleted, "it waits for what never comes");
        task.GetAwaiter().GetResult();
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, Piece? before)
        {
            Memory = memory;
            if (before is not null)
            {
                RunningIndex = before.RunningIndex + before.Memory.Length;
                before.Next = this;
            }
        }
    }
}
