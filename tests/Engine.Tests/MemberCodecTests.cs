using System.Globalization;
using MetaStore.Engine.Members;

namespace MetaStore.Engine.Tests;

/// <summary>What the members say of themselves on disk, and ask of the leader, as bytes: data directories in the world hold the one, members of another age send the other.</summary>
public sealed class MemberCodecTests
{
    [Fact]
    public void GoldenBytes_OfTheAttributes()
    {
        var member = new Member(7, "n", ["http://p:1"], ["http://c:1", "http://c:2"], PromoteWhenReady: true, DirectoryId: 9);
        byte[] bytes = MemberTableCodec.Encode([member], [5], new ChangeOrigin(2, 3, 4));

        Assert.Equal(
            Hex("""
                01 0200000000000000 0300000000000000 0400000000000000
                01000000 0700000000000000 0900000000000000 01 01000000 6E
                01000000 0A000000 687474703A2F2F703A31
                02000000 0A000000 687474703A2F2F633A31 0A000000 687474703A2F2F633A32
                01000000 0500000000000000
                """),
            Convert.ToHexString(bytes));
        (IReadOnlyList<Member> members, IReadOnlyList<ulong> removed, ChangeOrigin change) = MemberTableCodec.Decode(bytes);
        Assert.Equal(member, Assert.Single(members));
        Assert.Equal([5ul], removed);
        Assert.Equal(new ChangeOrigin(2, 3, 4), change);
    }

    [Theory]
    [InlineData("add", "01 03 07 01000000 0A000000 687474703A2F2F703A31")]
    [InlineData("remove", "02 0500000000000000")]
    [InlineData("update", "03 0500000000000000 01 07 01000000 0A000000 687474703A2F2F703A31")]
    [InlineData("promote", "04 0500000000000000")]
    [InlineData("publish", "05 0500000000000000 0900000000000000 01000000 6E 01000000 0A000000 687474703A2F2F703A31")]
    [InlineData("move", "06 0500000000000000")]
    [InlineData("replace", "07 0500000000000000 0600000000000000")]
    public void GoldenBytes_OfARequest(string kind, string bytes)
    {
        var request = new ClusterRequest(
            kind switch
            {
                "add" => new AddMember(["http://p:1"], IsLearner: true, IsWitness: true, Priority: 7),
                "remove" => new RemoveMember(5),
                "update" => new UpdateMember(5, ["http://p:1"], 7),
                "promote" => new PromoteMember(5),
                "publish" => new PublishMember(5, "n", ["http://p:1"], DirectoryId: 9),
                "replace" => new PromoteMember(5, Replacing: 6),
                _ => null,
            },
            kind == "move" ? 5ul : 0);

        byte[] encoded = ForwardCodec.EncodeRequest(3, request);

        Assert.Equal(Hex("0300000000000000" + bytes), Convert.ToHexString(encoded));
        (ulong id, ClusterRequest decoded) = ForwardCodec.DecodeRequest(encoded);
        Assert.Equal((3ul, request.MoveLeaderTo), (id, decoded.MoveLeaderTo));
        Assert.Equal(Convert.ToHexString(encoded), Convert.ToHexString(ForwardCodec.EncodeRequest(id, decoded)));
    }

    [Fact]
    public void GoldenBytes_OfAnAnswer()
    {
        var refusal = new MetaStoreException(MetaStoreError.MemberNotFound, "no", Outcome.NotApplied);
        byte[] encoded = ForwardCodec.EncodeReply(3, new ClusterReply(4, 5, refusal));

        string error = ((int)MetaStoreError.MemberNotFound).ToString("X2", CultureInfo.InvariantCulture);
        Assert.Equal(Hex($"0300000000000000 {error}00 00 0400000000000000 0500000000000000 02000000 6E6F"), Convert.ToHexString(encoded));
        (ulong id, ClusterReply reply) = ForwardCodec.DecodeReply(encoded);
        Assert.Equal((3ul, 4ul, 5ul, MetaStoreError.MemberNotFound), (id, reply.Index, reply.MemberId, reply.Error!.Error));
    }

    [Theory]
    [InlineData("0300000000000000 08 0500000000000000")]
    [InlineData("0300000000000000 07 0500000000000000")]
    [InlineData("0300000000000000 01 04 07 00000000")]
    public void ARequestThatIsNone_IsRefused(string bytes) =>
        Assert.Throws<RequestFormatException>(() => ForwardCodec.DecodeRequest(Convert.FromHexString(Hex(bytes))));

    private static string Hex(string text) => string.Concat(text.Where(char.IsAsciiHexDigit));
}
