namespace MetaStore.Etcd.Tests.Programs;

/// <summary>What is written through any of the ways is read, and watched, through any other, the same in each field.</summary>
public sealed class InteroperabilityTests(AllWays ways) : IClassFixture<AllWays>
{
    /// <summary>Each byte, and more digits than a fraction of 64 bits holds.</summary>
    private static readonly string s_everyByte = string.Concat(Enumerable.Range(0, 256).Select(value => (char)value));

    public static IEnumerable<object[]> Pairs() => AllWays.Names.SelectMany(writer => AllWays.Names.Select(reader => new object[] { writer, reader }));

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task What_one_writes_the_other_reads_and_is_told(string writer, string reader)
    {
        IWay by = ways.Of(writer);
        IWay from = ways.Of(reader);
        string prefix = $"{writer}-{reader}/";
        long lease = 7_587_885_642_180_021_000 + (10 * IndexOf(writer)) + IndexOf(reader);
        await using IWayWatch watch = await from.WatchAsync(prefix);

        long first = await by.PutAsync($"{prefix}a", s_everyByte);
        long second = await by.PutAsync($"{prefix}a", string.Empty);
        Assert.True(await by.CreateAsync($"{prefix}\0\xff", "created"));
        Assert.False(await by.CreateAsync($"{prefix}\0\xff", "again"));
        await by.GrantAsync(lease, seconds: 1000);
        long leased = await by.PutAsync($"{prefix}l", "leased", lease);
        Item[] expected =
        [
            new Item($"{prefix}\0\xff", "created", second + 1, second + 1, 1, 0),
            new Item($"{prefix}a", string.Empty, first, second, 2, 0),
            new Item($"{prefix}l", "leased", leased, leased, 1, lease),
        ];
        Assert.Equal(expected, await from.ReadAsync(prefix));

        await by.RevokeAsync(lease);
        long deleted = await by.DeleteAsync($"{prefix}a");
        Assert.Equal(expected[..1], await from.ReadAsync(prefix));
        Change[] told =
        [
            new Change(false, new Item($"{prefix}a", s_everyByte, first, first, 1, 0)),
            new Change(false, expected[1]),
            new Change(false, expected[0]),
            new Change(false, expected[2]),
            new Change(true, new Item($"{prefix}l", string.Empty, 0, leased + 1, 0, 0)),
            new Change(true, new Item($"{prefix}a", string.Empty, 0, deleted, 0, 0)),
        ];
        foreach (Change change in told)
        {
            Assert.Equal(change, await watch.NextAsync());
        }
    }

    private static int IndexOf(string way) => AllWays.Names.ToList().IndexOf(way);
}
