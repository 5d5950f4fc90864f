using System.Buffers.Binary;
using MetaStore.Engine;
using MetaStore.Net.Tests;
using MetaStore.Net.Wire;

namespace MetaStore.Fuzz.Targets;

/// <summary>Bodies of the binary protocol, made of samples.</summary>
internal static class WireBytes
{
    /// <summary>Requests that a server knows, watches and their frames aside.</summary>
    public static readonly FrameKind[] Requests =
    [
        FrameKind.Put, FrameKind.Range, FrameKind.DeleteRange, FrameKind.Txn, FrameKind.Compact, FrameKind.Status, FrameKind.Hash, FrameKind.Ping, FrameKind.Members, FrameKind.Session,
        FrameKind.OpenSession, FrameKind.CloseSession, FrameKind.GrantLease, FrameKind.RevokeLease, FrameKind.KeepLeaseAlive, FrameKind.LeaseTimeToLive, FrameKind.Leases,
    ];

    public static byte[] Request(FrameKind kind, object? request, uint deadline = 1000)
    {
        var body = new byte[RequestCodec.GetLength(kind, request)];
        RequestCodec.Write(body, kind, request, deadline);
        return body;
    }

    public static byte[] Answer(StoreResponse answer)
    {
        var body = new byte[ResponseCodec.GetLength(answer)];
        ResponseCodec.Write(body, answer);
        return body;
    }

    public static byte[] Watch(WatchRequest request, uint credit)
    {
        var body = new byte[WatchCodec.GetLength(request)];
        WatchCodec.WriteRequest(body, request, credit);
        return body;
    }

    public static byte[] Error(MetaStoreError error, Outcome outcome, string message)
    {
        var body = new byte[NoticeCodec.GetErrorLength(message)];
        NoticeCodec.WriteError(body, error, outcome, message);
        return body;
    }

    /// <summary>A request of each kind, more than one of some.</summary>
    public static IEnumerable<(FrameKind Kind, byte[] Body)> SampleRequests()
    {
        for (int seed = 0; seed < 12; seed++)
        {
            StoreRequest request = new Samples(seed).Request();
            FrameKind kind = request switch { PutRequest => FrameKind.Put, RangeRequest => FrameKind.Range, DeleteRangeRequest => FrameKind.DeleteRange, _ => FrameKind.Txn };
            yield return (kind, Request(kind, request));
        }

        for (int seed = 0; seed < 4; seed++)
        {
            yield return (FrameKind.Session, Request(FrameKind.Session, new Samples(seed).SessionRequest()));
        }

        foreach (MemberChange change in new MemberChange[] { new AddMember(["http://a:1", "http://ü:2"], true), new RemoveMember(3), new UpdateMember(3, [], 7), new PromoteMember(3), new PromoteMember(3, 4) })
        {
            yield return (FrameKind.Members, Request(FrameKind.Members, new ClusterCall(change, 0, false)));
        }

        yield return (FrameKind.Members, Request(FrameKind.Members, new ClusterCall(null, 0, true)));
        yield return (FrameKind.Members, Request(FrameKind.Members, new ClusterCall(null, 5, false)));
        yield return (FrameKind.Compact, [1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        yield return (FrameKind.Hash, Request(FrameKind.Hash, new HashRequest(new Revision(4))));
        yield return (FrameKind.GrantLease, [0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        yield return (FrameKind.LeaseTimeToLive, Request(FrameKind.LeaseTimeToLive, new LeaseTimeToLiveRequest(7, true)));
        foreach (FrameKind empty in new[] { FrameKind.Status, FrameKind.Ping, FrameKind.OpenSession, FrameKind.Leases })
        {
            yield return (empty, Request(empty, null));
        }
    }

    /// <summary>A frame around a body.</summary>
    public static byte[] Frame(FrameKind kind, ulong correlation, ReadOnlySpan<byte> body)
    {
        byte[] frame = [.. new byte[FrameHeader.Size], .. body];
        FrameHeader.Seal(frame, correlation, kind);
        return frame;
    }

    /// <summary>Gives each frame the length that is there, the zeros that must be and the right checksum, whatever else is wrong with it.</summary>
    public static byte[] Mend(ReadOnlySpan<byte> frames)
    {
        byte[] mended = frames.ToArray();
        for (int at = 0; at + FrameHeader.Size <= mended.Length;)
        {
            uint announced = BinaryPrimitives.ReadUInt32LittleEndian(mended.AsSpan(at));
            int length = (int)Math.Min(announced, (uint)(mended.Length - at - FrameHeader.Size));
            Span<byte> frame = mended.AsSpan(at, FrameHeader.Size + length);
            FrameHeader.Seal(frame, BinaryPrimitives.ReadUInt64LittleEndian(frame[8..]), (FrameKind)frame[16]);
            at += frame.Length;
        }

        return mended;
    }
}
