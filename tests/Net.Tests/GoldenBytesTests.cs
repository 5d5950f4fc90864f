using System.Buffers;
using System.IO.Pipelines;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Peers;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net.Tests;

/// <summary>
/// The bytes of the protocol, written down. They are those of the example in docs/PROTOCOL.md. A change here breaks every client and
/// every running cluster: it needs a new version of the protocol, not a new expectation.
/// </summary>
public sealed class GoldenBytesTests
{
    [Fact]
    public void HelloOfAClient()
    {
        var hello = new Hello(1, 1, ConnectionRole.Client, 0, 0x1122334455667788, NodeId.None, NodeId.None, 16 << 20);
        var bytes = new byte[Hello.Size];
        hello.Write(bytes);
        Same("HELLO", bytes);
        Assert.Equal(hello, Hello.Read(bytes));
    }

    [Fact]
    public void WelcomeOfANode()
    {
        var welcome = new Welcome(HandshakeResult.Accepted, 1, 0, 0x1122334455667788, new NodeId(1), new NodeId(2), 1536 << 10, string.Empty);
        var bytes = new byte[welcome.Length];
        welcome.Write(bytes);
        Same("WELCOME", bytes);
        Assert.Equal(welcome, Welcome.Read(bytes, out _));
    }

    [Fact]
    public void PutOfOneKey() => Same("PUT", CodecTests.Frame(FrameKind.Put, new PutRequest { Key = Support.Bytes("k"), Value = Support.Bytes("v") }, correlation: 1));

    [Fact]
    public void AnswerToAPut() => Same("PUTANSWER", Written(output =>
        FrameOutput.WriteResponse(output, 1, new PutResponse { Header = new ResponseHeader(0x1122334455667788, 1, new Revision(2), 3) }, 1 << 20)));

    [Fact]
    public void AddOfALearnerThatIsAWitness() =>
        Same("ADD", CodecTests.Frame(FrameKind.Members, new ClusterCall(new AddMember(["http://h:1"], IsLearner: true, IsWitness: true, 7), 0, false), correlation: 1));

    [Fact]
    public void UpdateOfAPriority() =>
        Same("UPDATE", CodecTests.Frame(FrameKind.Members, new ClusterCall(new UpdateMember(5, ["http://h:1"], 7), 0, false), correlation: 1));

    [Fact]
    public void PromotionInThePlaceOfAnother() =>
        Same("REPLACE", CodecTests.Frame(FrameKind.Members, new ClusterCall(new PromoteMember(5, Replacing: 6), 0, false), correlation: 1));

    [Fact]
    public void TheMembers() => Same("MEMBERS", Written(output => FrameOutput.WriteResponse(
        output,
        1,
        new MembersResponse
        {
            Header = new ResponseHeader(0x1122334455667788, 1, new Revision(2), 3),
            MemberId = 5,
            Members = [new Member(5, "n", ["http://h:1"], ["http://h:2"], IsLearner: true, PromoteWhenReady: true, DirectoryId: 7, Priority: 9, IsWitness: true)],
        },
        1 << 20)));

    [Fact]
    public void PutInASession() => Same("SESSION", CodecTests.Frame(
        FrameKind.Session,
        new SessionRequest { SessionId = 5, Sequence = 3, AcknowledgedBelow = 2, Request = new PutRequest { Key = Support.Bytes("k"), Value = Support.Bytes("v") } },
        correlation: 1));

    [Fact]
    public void AnswerInASession() => Same("SESSIONANSWER", Written(output => FrameOutput.WriteResponse(
        output,
        1,
        new SessionResponse
        {
            Header = new ResponseHeader(0x1122334455667788, 1, new Revision(9), 3),
            Answer = new PutResponse { Header = new ResponseHeader(0x1122334455667788, 1, new Revision(2), 3) },
            IsRepeated = true,
        },
        1 << 20)));

    [Fact]
    public void WhatIsAskedOfLeases()
    {
        Same("PUTTTL", CodecTests.Frame(FrameKind.Put, new PutRequest { Key = Support.Bytes("k"), Value = Support.Bytes("v"), TimeToLive = TimeSpan.FromSeconds(1.5) }, correlation: 1));
        Same("GRANT", CodecTests.Frame(FrameKind.GrantLease, new LeaseGrantRequest(10, 7), correlation: 1));
        Same("REVOKE", CodecTests.Frame(FrameKind.RevokeLease, new LeaseRevokeRequest(7), correlation: 1));
        Same("RENEW", CodecTests.Frame(FrameKind.KeepLeaseAlive, new LeaseRenewal(7), correlation: 1));
        Same("LEFT", CodecTests.Frame(FrameKind.LeaseTimeToLive, new LeaseTimeToLiveRequest(7, WithKeys: true), correlation: 1));
        Same("LEASES", CodecTests.Frame(FrameKind.Leases, null, correlation: 1));
    }

    [Fact]
    public void WhatIsAnsweredOfLeases()
    {
        var header = new ResponseHeader(0x1122334455667788, 1, new Revision(2), 3);
        Same("GRANTED", Written(output => FrameOutput.WriteResponse(output, 1, new LeaseGrantResponse { Header = header, Id = 7, Ttl = 10 }, 1 << 20)));
        Same("REVOKED", Written(output => FrameOutput.WriteResponse(output, 1, new LeaseRevokeResponse { Header = header }, 1 << 20)));
        Same("RENEWED", Written(output => FrameOutput.WriteResponse(output, 1, new LeaseKeepAliveResponse { Header = header, Id = 7, Ttl = 10 }, 1 << 20)));
        var left = new LeaseTimeToLiveResponse { Header = header, Id = 7, Ttl = 9, GrantedTtl = 10, Keys = [Support.Bytes("k")] };
        Same("LEFTANSWER", Written(output => FrameOutput.WriteResponse(output, 1, left, 1 << 20)));
        Same("LEASESANSWER", Written(output => FrameOutput.WriteResponse(output, 1, new LeasesResponse { Header = header, Ids = [7, 8] }, 1 << 20)));
    }

    [Fact]
    public void AWatchOfAPrefix() => Same("WATCH", Written(output => FrameOutput.WriteWatch(
        output,
        1,
        new WatchRequest
        {
            Key = Support.Bytes("k"),
            RangeEnd = Support.Bytes("l"),
            StartRevision = new Revision(5),
            PreviousValue = true,
            Fragment = true,
            Predicates = [new WatchPredicate(WatchTarget.Value, WatchRelation.StartsWith, Support.Bytes("v"))],
        },
        credit: 1 << 20)));

    [Fact]
    public void EventsOfAWatch() => Same("WATCHANSWER", Written(output => FrameOutput.WriteWatchAnswer(
        output,
        1,
        new WatchResponse
        {
            Header = new ResponseHeader(0x1122334455667788, 1, new Revision(6), 3),
            Events =
            [
                new WatchEvent { Type = WatchEventType.Put, KeyValue = new KeyValue(Support.Bytes("k"), Support.Bytes("v"), new Revision(5), new Revision(5), 1, 0) },
                new WatchEvent
                {
                    Type = WatchEventType.Delete,
                    KeyValue = new KeyValue(Support.Bytes("k"), default, default, new Revision(6), 0, 0),
                    Previous = new KeyValue(Support.Bytes("k"), Support.Bytes("v"), new Revision(5), new Revision(5), 1, 0),
                },
            ],
        },
        1 << 20)));

    [Fact]
    public void TheEndAndTheCreditOfAWatch()
    {
        Same("WATCHCOMPACTED", Written(output => FrameOutput.WriteWatchCompacted(output, 1, new Revision(9))));
        Same("WATCHCREDIT", Written(output => FrameOutput.WriteWatchCredit(output, 1, 4096)));
        Same("WATCHCANCEL", Written(output => FrameOutput.WriteEmpty(output, 1, FrameKind.WatchCancel)));
    }

    [Fact]
    public void ASnapshotAndItsParts()
    {
        Same("SNAPSHOT", Written(output => FrameOutput.WriteSnapshot(output, 1, 1 << 20)));
        Same("SNAPSHOTPART", Written(output => FrameOutput.WriteSnapshotPart(output, 1, new SnapshotPart(Support.Bytes("abc"), IsLast: false))));
        Same("SNAPSHOTEND", Written(output => FrameOutput.WriteSnapshotPart(output, 1, new SnapshotPart(default, IsLast: true))));
    }

    [Fact]
    public void AnErrorFrame() => Same("ERROR", Written(output => FrameOutput.WriteError(output, 1, MetaStoreError.NoLeader, Outcome.NotApplied, "no leader")));

    [Fact]
    public void LeaderChanged() => Same("LEADER", Written(output => FrameOutput.WriteLeaderChanged(output, new NodeId(2))));

    [Fact]
    public void RaftMessageOfAGroup()
    {
        var message = new Message { Kind = MessageKind.Vote, From = new NodeId(1), To = new NodeId(2), Term = new Term(5) };
        byte[] bytes = Written(output => PeerFrame.Of(new GroupId(9), message).Write(output));
        Same("RAFT", bytes[..(FrameHeader.Size + 8)]); // what follows is the message codec's to pin down
        PeerFrame back = PeerFrame.Read(bytes.AsMemory(FrameHeader.Size));
        Assert.Equal((new GroupId(9), MessageKind.Vote, new Term(5)), (back.Group, back.Message.Kind, back.Message.Term));
    }

    [Fact]
    public void NumbersOfKindsAndErrorsStay()
    {
        Assert.Equal("1 2 3 4 5 6 7 8 9 10 11 12 16 17 18 19 20 24 25 26 27 32 65 66 67 68 69 70 71 72 73 74 75 76 80 81 82 83 84 88 91 96 112 113", string.Join(' ', Enum.GetValues<FrameKind>().Select(kind => (int)kind)));
        Assert.Equal("0 1 2 3 4 5 6 7 8 9 10 11", string.Join(' ', Enum.GetValues<HandshakeResult>().Select(result => (int)result)));
        Assert.Equal(Enumerable.Range(1, 37), Enum.GetValues<MetaStoreError>().Select(error => (int)error));
    }

    [Fact]
    public void TheExampleInTheDocumentIsTheseBytes()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "MetaStore.Engine.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        string document = File.ReadAllText(Path.Combine(folder, "docs", "PROTOCOL.md")).Replace(" ", string.Empty, StringComparison.Ordinal);
        foreach (string name in new[] { "HELLO", "WELCOME", "PUT", "PUTANSWER", "ERROR" })
        {
            Assert.Contains($"\n{Golden[name]}\n", document, StringComparison.Ordinal);
        }
    }

    private static byte[] Written(Action<PipeWriter> write)
    {
        var pipe = new Pipe();
        write(pipe.Writer);
        pipe.Writer.Complete();
        Assert.True(pipe.Reader.TryRead(out ReadResult result));
        return result.Buffer.ToArray();
    }

    private static void Same(string name, byte[] actual) => Assert.Equal(Golden[name], Convert.ToHexStringLower(actual));

    private static readonly Dictionary<string, string> Golden = new(StringComparer.Ordinal)
    {
        ["HELLO"] = "8d4d53450d0a1a0a01000100010000000000000000000000887766554433221100000000000000000000000000000000000000000000000000000001423dde56",
        ["WELCOME"] = "8d4d53450d0a1a0a00000100010001000000000000000000887766554433221101000000000000000200000000000000000018000000000093d6e4ae",
        ["PUT"] = "170000005b7287dc010000000000000001000000d0070000000000000000000000010000006b0100000076",
        ["PUTANSWER"] = "210000005c14da28010000000000000041000000887766554433221101000000000000000200000000000000030000000000000000",
        ["ERROR"] = "110000000b7d8b0d0100000000000000600000000e000000090000006e6f206c6561646572",
        ["ADD"] = "190000003681949b010000000000000009000000d0070000020307010000000a000000687474703a2f2f683a31",
        ["REPLACE"] = "150000001e17b607010000000000000009000000d00700000705000000000000000600000000000000",
        ["UPDATE"] = "21000000b79e168c010000000000000009000000d00700000405000000000000000107010000000a000000687474703a2f2f683a31",
        ["MEMBERS"] = "67000000ad81a5a50100000000000000490000008877665544332211010000000000000002000000000000000300000000000000050000000000000001000000050000000000000007000000000000000709010000006e010000000a000000687474703a2f2f683a31010000000a000000687474703a2f2f683a32",
        ["SESSION"] = "300000009a5058f501000000000000000a000000d007000005000000000000000300000000000000020000000000000001000000000000000000010000006b0100000076",
        ["SESSIONANSWER"] = "430000008a06d06501000000000000004a00000088776655443322110100000000000000090000000000000003000000000000000141887766554433221101000000000000000200000000000000030000000000000000",
        ["PUTTTL"] = "1f0000006d676378010000000000000001000000d0070000080000000000000000dc05000000000000010000006b0100000076",
        ["GRANT"] = "14000000a750e3c8010000000000000010000000d00700000a000000000000000700000000000000",
        ["REVOKE"] = "0c000000b62a667e010000000000000011000000d00700000700000000000000",
        ["RENEW"] = "0c000000454a9e6d010000000000000012000000d00700000700000000000000",
        ["LEFT"] = "0d000000b20579b0010000000000000013000000d0070000010700000000000000",
        ["LEASES"] = "04000000415f8571010000000000000014000000d0070000",
        ["GRANTED"] = "30000000a201ac84010000000000000050000000887766554433221101000000000000000200000000000000030000000000000007000000000000000a00000000000000",
        ["REVOKED"] = "20000000380cbb2c0100000000000000510000008877665544332211010000000000000002000000000000000300000000000000",
        ["RENEWED"] = "30000000079e9dc9010000000000000052000000887766554433221101000000000000000200000000000000030000000000000007000000000000000a00000000000000",
        ["LEFTANSWER"] = "4100000012346b450100000000000000530000008877665544332211010000000000000002000000000000000300000000000000070000000000000009000000000000000a0000000000000001000000010000006b",
        ["LEASESANSWER"] = "34000000ec34872601000000000000005400000088776655443322110100000000000000020000000000000003000000000000000200000007000000000000000800000000000000",
        ["WATCH"] = "2200000028c57352010000000000000018000000140500000000000000000010000100000001020100000076010000006b010000006c",
        ["WATCHANSWER"] = "a400000045adbd5f01000000000000005800000088776655443322110100000000000000060000000000000003000000000000000002000000000500000000000000050000000000000001000000000000000000000000000000010000006b0100000076030000000000000000060000000000000000000000000000000000000000000000010000006b000000000500000000000000050000000000000001000000000000000000000000000000010000006b0100000076",
        ["WATCHCOMPACTED"] = "2d0000004f91104e010000000000000058000000000000000000000000000000000000000000000000000000000000000000000008090000000000000000000000",
        ["WATCHCREDIT"] = "04000000d79aaf4f01000000000000001900000000100000",
        ["WATCHCANCEL"] = "00000000379056ba01000000000000001a000000",
        ["SNAPSHOT"] = "0400000092ecb09201000000000000001b00000000001000",
        ["SNAPSHOTPART"] = "04000000ec4a5ae101000000000000005b00000000616263",
        ["SNAPSHOTEND"] = "010000009aaec54b01000000000000005b00000001",
        ["LEADER"] = "0800000009a460610000000000000000700000000200000000000000",
        ["RAFT"] = "84000000c5ab6f260000000000000000200000000900000004030000",
    };
}
