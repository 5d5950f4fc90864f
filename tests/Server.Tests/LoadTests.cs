using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Server.Loading;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

public sealed class LoadTests
{
    [Theory]
    [InlineData("k\tv", "k", "v")]
    [InlineData("k\t", "k", "")]
    [InlineData("k\ta\\nb\\tc\\\\d", "k", "a\nb\tc\\d")]
    [InlineData("k\ta\tb", "k", "a\tb")]
    [InlineData("k\\n\t\\\\n", "k\\n", "\\n")]
    public void A_line_is_key_tab_value(string line, string key, string value)
    {
        LoadLine parsed = LoadLine.Parse(Encoding.UTF8.GetBytes(line), 3);
        Assert.Equal((3L, key, value), (parsed.Number, Encoding.UTF8.GetString(parsed.Key), Encoding.UTF8.GetString(parsed.Value)));
    }

    [Theory]
    [InlineData("kv", "no tab")]
    [InlineData("\tv", "key is empty")]
    [InlineData("k\tv\\", "single backslash")]
    [InlineData("k\tv\\x", "\\x")]
    public void A_bad_line_is_named_by_its_number(string line, string expected)
    {
        RefusalException refusal = Assert.Throws<RefusalException>(() => LoadLine.Parse(Encoding.UTF8.GetBytes(line), 17));
        Assert.StartsWith("line 17: ", refusal.Message);
        Assert.Contains(expected, refusal.Message);
    }

    [Fact]
    public async Task Lines_are_found_wherever_the_reads_end()
    {
        var text = new StringBuilder();
        for (int i = 0; i < 20_000; i++)
        {
            text.Append($"key{i}\tvalue{i}\n").Append(i % 100 == 0 ? "\n" : string.Empty);
        }

        text.Append("last\tx");
        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        long read = 0;
        var lines = new List<LoadLine>();
        await foreach (LoadLine line in LoadLineReader.ReadAsync(new MemoryStream(bytes), n => read += n, CancellationToken.None))
        {
            lines.Add(line);
        }

        Assert.Equal(20_001, lines.Count);
        Assert.Equal(20_201, lines[^1].Number);
        Assert.Equal("value7777", Encoding.UTF8.GetString(lines[7777].Value));
        Assert.InRange(read, bytes.Length, bytes.Length + 1);
    }

    [Fact]
    public async Task The_last_line_of_a_key_wins()
    {
        using var directory = new TestDirectory();
        await using MetaStoreNode node = OpenQuick(directory);
        IEnumerable<string> lines = Enumerable.Range(0, 5000).Select(i => $"key{i % 10}\t{i}");
        var counters = new LoadCounters();
        await LoadAsync(node, string.Join('\n', lines), counters);
        Assert.Equal(5000, counters.Stored);
        RangeResponse all = await node.RangeAsync(new RangeRequest { Key = "key"u8.ToArray(), RangeEnd = "l"u8.ToArray() });
        Assert.Equal(Enumerable.Range(4990, 10).Select(i => i.ToString()), all.Items.Select(item => Encoding.UTF8.GetString(item.Value.Span)));
    }

    [Fact]
    public async Task A_bad_line_ends_the_load_after_what_stands_before_it()
    {
        using var directory = new TestDirectory();
        await using MetaStoreNode node = OpenQuick(directory);
        var counters = new LoadCounters();
        RefusalException refusal = await Assert.ThrowsAsync<RefusalException>(() => LoadAsync(node, "a\t1\nb\t2\nc\nd\t4", counters));
        Assert.StartsWith("line 3: ", refusal.Message);
        Assert.Equal(2, counters.Stored);
    }

    [Fact]
    public async Task A_refused_put_ends_the_load_and_names_its_line()
    {
        using var directory = new TestDirectory();
        await using MetaStoreNode node = OpenQuick(directory);
        string tooLarge = new('x', 2 << 20);
        RefusalException refusal = await Assert.ThrowsAsync<RefusalException>(() => LoadAsync(node, $"a\t1\nb\t{tooLarge}\nc\t3", new LoadCounters()));
        Assert.StartsWith("line 2: ", refusal.Message);
    }

    private static MetaStoreNode OpenQuick(TestDirectory directory) => MetaStoreNode.OpenSingle(directory.Of("data"));

    private static Task LoadAsync(IMetaStore store, string text, LoadCounters counters)
    {
        var loader = new BulkLoader(store, concurrency: 32, TimeSpan.FromSeconds(30), TimeProvider.System, counters);
        return loader.RunAsync(LoadLineReader.ReadAsync(new MemoryStream(Encoding.UTF8.GetBytes(text)), counters.AddInput, default), default);
    }
}
