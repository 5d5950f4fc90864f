using System.IO.Pipelines;
using MetaStore.Engine;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net.Connections;

/// <summary>Appends whole small frames to an output; larger ones are measured and written by their own codec.</summary>
internal static class FrameOutput
{
    public static void WriteEmpty(PipeWriter output, ulong correlation, FrameKind kind)
    {
        Span<byte> frame = output.GetSpan(FrameHeader.Size)[..FrameHeader.Size];
        FrameHeader.Seal(frame, correlation, kind);
        output.Advance(frame.Length);
    }

    public static void WriteError(PipeWriter output, ulong correlation, MetaStoreError error, Outcome outcome, string message)
    {
        message = NoticeCodec.Shorten(message);
        int length = FrameHeader.Size + NoticeCodec.GetErrorLength(message);
        Span<byte> frame = output.GetSpan(length)[..length];
        NoticeCodec.WriteError(frame[FrameHeader.Size..], error, outcome, message);
        FrameHeader.Seal(frame, correlation, FrameKind.Error);
        output.Advance(length);
    }

    public static void WriteLeaderChanged(PipeWriter output, NodeId leader)
    {
        const int Length = FrameHeader.Size + NoticeCodec.LeaderChangedSize;
        Span<byte> frame = output.GetSpan(Length)[..Length];
        NoticeCodec.WriteLeaderChanged(frame[FrameHeader.Size..], leader);
        FrameHeader.Seal(frame, correlation: 0, FrameKind.LeaderChanged);
        output.Advance(Length);
    }

    public static void WriteWatch(PipeWriter output, ulong correlation, WatchRequest request, uint credit)
    {
        int length = FrameHeader.Size + WatchCodec.GetLength(request);
        Span<byte> frame = output.GetSpan(length)[..length];
        WatchCodec.WriteRequest(frame[FrameHeader.Size..], request, credit);
        FrameHeader.Seal(frame, correlation, FrameKind.Watch);
        output.Advance(length);
    }

    public static void WriteWatchCredit(PipeWriter output, ulong correlation, uint bytes)
    {
        const int Length = FrameHeader.Size + sizeof(uint);
        Span<byte> frame = output.GetSpan(Length)[..Length];
        WatchCodec.WriteCredit(frame[FrameHeader.Size..], bytes);
        FrameHeader.Seal(frame, correlation, FrameKind.WatchCredit);
        output.Advance(Length);
    }

    public static void WriteSnapshot(PipeWriter output, ulong correlation, uint credit)
    {
        const int Length = FrameHeader.Size + SnapshotCodec.RequestSize;
        Span<byte> frame = output.GetSpan(Length)[..Length];
        SnapshotCodec.WriteRequest(frame[FrameHeader.Size..], credit);
        FrameHeader.Seal(frame, correlation, FrameKind.Snapshot);
        output.Advance(Length);
    }

    public static void WriteSnapshotPart(PipeWriter output, ulong correlation, SnapshotPart part)
    {
        int length = FrameHeader.Size + SnapshotCodec.PartOverhead + part.Bytes.Length;
        Span<byte> frame = output.GetSpan(length)[..length];
        SnapshotCodec.WritePart(frame[FrameHeader.Size..], part);
        FrameHeader.Seal(frame, correlation, FrameKind.SnapshotAnswer);
        output.Advance(length);
    }

    /// <summary>Writes a response of a watch; one that is longer than the other side takes ends the watch with an error in its place.</summary>
    /// <returns>Whether it fitted.</returns>
    public static bool WriteWatchAnswer(PipeWriter output, ulong correlation, WatchResponse response, long bodyBytesMax)
    {
        long bodyLength = WatchCodec.GetLength(response);
        if (bodyLength > bodyBytesMax)
        {
            WriteError(output, correlation, MetaStoreError.ResponseTooLarge, Outcome.NotApplied, $"An event takes {bodyLength} bytes; a frame carries {bodyBytesMax}.");
            return false;
        }

        int length = FrameHeader.Size + (int)bodyLength;
        Span<byte> frame = output.GetSpan(length)[..length];
        WatchCodec.WriteResponse(frame[FrameHeader.Size..], response);
        FrameHeader.Seal(frame, correlation, FrameKind.WatchAnswer);
        output.Advance(length);
        return true;
    }

    public static void WriteWatchCompacted(PipeWriter output, ulong correlation, Revision compactRevision)
    {
        const int Length = FrameHeader.Size + WatchCodec.CompactedSize;
        Span<byte> frame = output.GetSpan(Length)[..Length];
        WatchCodec.WriteCompacted(frame[FrameHeader.Size..], compactRevision);
        FrameHeader.Seal(frame, correlation, FrameKind.WatchAnswer);
        output.Advance(Length);
    }

    public static void WriteRequest(PipeWriter output, ulong correlation, FrameKind kind, object? request, int bodyLength, uint deadlineMilliseconds)
    {
        int length = FrameHeader.Size + bodyLength;
        Span<byte> frame = output.GetSpan(length)[..length];
        RequestCodec.Write(frame[FrameHeader.Size..], kind, request, deadlineMilliseconds);
        FrameHeader.Seal(frame, correlation, kind);
        output.Advance(length);
    }

    /// <summary>Writes the answer, or where it is longer than the other side takes, an error in its place.</summary>
    public static void WriteResponse(PipeWriter output, ulong correlation, StoreResponse response, long bodyBytesMax)
    {
        long bodyLength = ResponseCodec.GetLength(response);
        if (bodyLength > bodyBytesMax)
        {
            // Reads grow like this; a transaction or a removal that returns as much has taken effect.
            Outcome outcome = response is RangeResponse or LeasesResponse or LeaseTimeToLiveResponse ? Outcome.NotApplied : Outcome.Unknown;
            string message = $"The answer takes {bodyLength} bytes; a frame carries {bodyBytesMax}. Ask with a limit.";
            WriteError(output, correlation, MetaStoreError.ResponseTooLarge, outcome, message);
            return;
        }

        int length = FrameHeader.Size + (int)bodyLength;
        Span<byte> frame = output.GetSpan(length)[..length];
        ResponseCodec.Write(frame[FrameHeader.Size..], response);
        FrameHeader.Seal(frame, correlation, ResponseCodec.KindOf(response));
        output.Advance(length);
    }
}
