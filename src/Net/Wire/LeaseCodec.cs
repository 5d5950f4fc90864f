using MetaStore.Engine;

namespace MetaStore.Net.Wire;

/// <summary>
/// Bodies of requests about leases and of their answers. Fixed-width little-endian. Part of the wire format: never renumber.
/// <code>
///  GrantLease            | time to live i64: seconds | lease i64 (0: the store chooses)
///  RevokeLease           | lease i64
///  KeepLeaseAlive        | lease i64
///  LeaseTimeToLive       | flags u8 (1 with its keys) | lease i64
///  Leases                | nothing
///  GrantLeaseAnswer      | header | lease i64 | time to live i64
///  RevokeLeaseAnswer     | header
///  KeepLeaseAliveAnswer  | header | lease i64 | time to live i64 (0: there is no such lease)
///  LeaseTimeToLiveAnswer | header | lease i64 | left i64 (-1: there is no such lease) | granted i64 | keys u32 | key bytes...
///  LeasesAnswer          | header | leases u32 | lease i64...
/// </code>
/// Deadlines and headers are those of <see cref="RequestCodec"/> and <see cref="ResponseCodec"/>.
/// </summary>
internal static class LeaseCodec
{
    private const byte WithKeys = 1;

    public static bool IsRequest(FrameKind kind) => kind is >= FrameKind.GrantLease and <= FrameKind.Leases;

    public static bool IsAnswer(FrameKind kind) => kind is >= FrameKind.GrantLeaseAnswer and <= FrameKind.LeasesAnswer;

    public static int GetLength(FrameKind kind) => kind switch
    {
        FrameKind.GrantLease => 2 * sizeof(long),
        FrameKind.LeaseTimeToLive => 1 + sizeof(long),
        FrameKind.Leases => 0,
        _ => sizeof(long),
    };

    public static void Write(ref WireWriter writer, object request)
    {
        switch (request)
        {
            case LeaseGrantRequest grant:
                writer.WriteInt64(grant.Ttl);
                writer.WriteInt64(grant.Id);
                break;
            case LeaseRevokeRequest revoke:
                writer.WriteInt64(revoke.Id);
                break;
            case LeaseRenewal renewal:
                writer.WriteInt64(renewal.LeaseId);
                break;
            case LeaseTimeToLiveRequest question:
                writer.WriteByte(question.WithKeys ? WithKeys : (byte)0);
                writer.WriteInt64(question.Id);
                break;
        }
    }

    /// <summary>Null for the kind that carries nothing.</summary>
    public static object? Read(ref WireReader reader, FrameKind kind) => kind switch
    {
        FrameKind.GrantLease => new LeaseGrantRequest(reader.ReadInt64("lease.time to live"), reader.ReadInt64("lease.id")),
        FrameKind.RevokeLease => new LeaseRevokeRequest(reader.ReadInt64("lease.id")),
        FrameKind.KeepLeaseAlive => new LeaseRenewal(reader.ReadInt64("lease.id")),
        FrameKind.LeaseTimeToLive => ReadQuestion(ref reader),
        _ => null,
    };

    /// <summary>The time to live of a put.</summary>
    public static TimeSpan ReadTimeToLive(ref WireReader reader)
    {
        long milliseconds = reader.ReadInt64("put.time to live");
        return milliseconds > 0 && milliseconds <= PutRequest.TimeToLiveMax.TotalMilliseconds
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new WireFormatException(
                $"put.time to live: {milliseconds} ms; it must be from 1 to {PutRequest.TimeToLiveMax.TotalMilliseconds}.", MetaStoreError.InvalidArgument);
    }

    public static long GetLength(StoreResponse response) => response switch
    {
        LeaseGrantResponse or LeaseKeepAliveResponse => 2 * sizeof(long),
        LeaseTimeToLiveResponse left => (3 * sizeof(long)) + sizeof(uint) + left.Keys.Sum(key => (long)WireWriter.GetLength(key)),
        LeasesResponse leases => sizeof(uint) + ((long)sizeof(long) * leases.Ids.Count),
        _ => 0,
    };

    public static FrameKind? KindOf(StoreResponse response) => response switch
    {
        LeaseGrantResponse => FrameKind.GrantLeaseAnswer,
        LeaseRevokeResponse => FrameKind.RevokeLeaseAnswer,
        LeaseKeepAliveResponse => FrameKind.KeepLeaseAliveAnswer,
        LeaseTimeToLiveResponse => FrameKind.LeaseTimeToLiveAnswer,
        LeasesResponse => FrameKind.LeasesAnswer,
        _ => null,
    };

    /// <summary>Writes what stands behind the header.</summary>
    public static void Write(ref WireWriter writer, StoreResponse response)
    {
        switch (response)
        {
            case LeaseGrantResponse granted:
                writer.WriteInt64(granted.Id);
                writer.WriteInt64(granted.Ttl);
                break;
            case LeaseKeepAliveResponse renewed:
                writer.WriteInt64(renewed.Id);
                writer.WriteInt64(renewed.Ttl);
                break;
            case LeaseTimeToLiveResponse left:
                writer.WriteInt64(left.Id);
                writer.WriteInt64(left.Ttl);
                writer.WriteInt64(left.GrantedTtl);
                writer.WriteUInt32((uint)left.Keys.Count);
                foreach (ReadOnlyMemory<byte> key in left.Keys)
                {
                    writer.WriteBytes(key);
                }

                break;
            case LeasesResponse leases:
                writer.WriteUInt32((uint)leases.Ids.Count);
                foreach (long id in leases.Ids)
                {
                    writer.WriteInt64(id);
                }

                break;
        }
    }

    public static StoreResponse Read(ref WireReader reader, FrameKind kind, ResponseHeader header) => kind switch
    {
        FrameKind.GrantLeaseAnswer => new LeaseGrantResponse { Header = header, Id = reader.ReadInt64("lease.id"), Ttl = reader.ReadInt64("lease.time to live") },
        FrameKind.RevokeLeaseAnswer => new LeaseRevokeResponse { Header = header },
        FrameKind.KeepLeaseAliveAnswer => new LeaseKeepAliveResponse { Header = header, Id = reader.ReadInt64("lease.id"), Ttl = reader.ReadInt64("lease.time to live") },
        FrameKind.LeaseTimeToLiveAnswer => new LeaseTimeToLiveResponse
        {
            Header = header,
            Id = reader.ReadInt64("lease.id"),
            Ttl = reader.ReadInt64("lease.left"),
            GrantedTtl = reader.ReadInt64("lease.granted"),
            Keys = ReadKeys(ref reader),
        },
        _ => new LeasesResponse { Header = header, Ids = ReadIds(ref reader) },
    };

    private static LeaseTimeToLiveRequest ReadQuestion(ref WireReader reader)
    {
        bool withKeys = reader.ReadFlags(WithKeys, "lease.flags") != 0;
        return new LeaseTimeToLiveRequest(reader.ReadInt64("lease.id"), withKeys);
    }

    private static ReadOnlyMemory<byte>[] ReadKeys(ref WireReader reader)
    {
        var keys = new ReadOnlyMemory<byte>[reader.ReadCount(sizeof(uint), "lease.keys")];
        for (int i = 0; i < keys.Length; i++)
        {
            keys[i] = reader.ReadBytes("lease.key");
        }

        return keys;
    }

    private static long[] ReadIds(ref WireReader reader)
    {
        var ids = new long[reader.ReadCount(sizeof(long), "leases")];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = reader.ReadInt64("leases.id");
        }

        return ids;
    }
}

/// <summary>The body of a KeepLeaseAlive request.</summary>
internal sealed record LeaseRenewal(long LeaseId);
