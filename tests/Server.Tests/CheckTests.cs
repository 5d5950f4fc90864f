using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Server.Checking;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

/// <summary>Checks of a cluster: what they judge, and that they leave nothing behind.</summary>
public sealed class CheckTests
{
    [Fact]
    public void The_verdict_is_etcdctls()
    {
        var even = new WriteTimes();
        for (int i = 0; i < 100; i++)
        {
            even.Add(TimeSpan.FromMilliseconds(2));
        }

        (IReadOnlyList<string> lines, bool passed) = PerformanceCheck.Judge(even, TimeSpan.FromSeconds(1), 110);
        Assert.True(passed);
        Assert.Equal(["PASS: Throughput is 101 writes/s", "PASS: Slowest request took 0.002000s", "PASS: Stddev is 0.000000s", "PASS"], lines);
        Assert.Equal(("FAIL: Throughput too low: 101 writes/s", "FAIL"), Ends(PerformanceCheck.Judge(even, TimeSpan.FromSeconds(1), 112)));
        var uneven = new WriteTimes();
        uneven.Add(TimeSpan.Zero);
        uneven.Add(TimeSpan.FromSeconds(0.6));
        uneven.Add(new MetaStoreException(MetaStoreError.Timeout, "late"));
        (lines, passed) = PerformanceCheck.Judge(uneven, TimeSpan.FromSeconds(2), 1);
        Assert.False(passed);
        Assert.Equal(
            ["FAIL: too many errors", "FAIL: ERROR(late) -> 1", "PASS: Throughput is 2 writes/s", "Slowest request took too long: 0.600000s", "Stddev too high: 0.300000s", "FAIL"],
            lines);
    }

    [Fact]
    public async Task A_check_writes_at_its_rate_and_removes_its_keys()
    {
        using var directory = new TestDirectory();
        await using MetaStoreNode node = MetaStoreNode.OpenSingle(directory.Of("data"));
        await node.PutAsync(new PutRequest { Key = Bytes("other") });
        var keys = new CheckKeys(node, Bytes("/check/"), keyBytes: 256, valueBytes: 10);
        await keys.RequireNoneAsync(default);
        (IReadOnlyList<string> lines, _) = await new PerformanceCheck(keys, new LoadModel(2000, 0, 20), TimeSpan.FromSeconds(1)).RunAsync(default);
        Assert.Contains(lines, line => line.Contains("Throughput", StringComparison.Ordinal));
        RangeResponse written = await node.RangeAsync(new RangeRequest { Key = Bytes("/check/"), RangeEnd = Bytes("/check0") });
        Assert.InRange(written.Count, 1, 2000);
        Assert.All(written.Items, item => Assert.Equal((7 + 256, 10, 1L), (item.Key.Length, item.Value.Length, item.Version)));
        RefusalException refusal = await Assert.ThrowsAsync<RefusalException>(() => keys.RequireNoneAsync(default));
        Assert.Contains("prefix \"/check/\" has keys. Delete with metastore del --prefix /check/ first.", refusal.Message);
        Revision removed = await keys.RemoveAsync(default);
        await node.CompactAsync(new CompactRequest(removed));
        await keys.RequireNoneAsync(default);
        Assert.Equal(1, (await node.StatusAsync()).KeyCount);
    }

    [Theory]
    [InlineData("# HELP\nprocess_resident_memory_bytes 1.5e+07\nother 3\n", 15_000_000.0)]
    [InlineData("other 3\n", null)]
    [InlineData("process_resident_memory_bytes much\n", null)]
    public void Memory_is_read_from_the_metrics(string metrics, double? expected) => Assert.Equal(expected, ResidentMemory.Parse(metrics));

    private static (string First, string Last) Ends((IReadOnlyList<string> Lines, bool Passed) verdict) => (verdict.Lines[0], verdict.Lines[^1]);

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
