using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Server.Mirroring;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

/// <summary>A store whose keys are kept in another.</summary>
public sealed class MirrorTests : IAsyncLifetime
{
    private readonly TestDirectory _directory = new();
    private readonly CancellationTokenSource _stop = new();
    private MetaStoreNode _source = null!;
    private MetaStoreNode _target = null!;

    public Task InitializeAsync()
    {
        _source = MetaStoreNode.OpenSingle(_directory.Of("source"));
        _target = MetaStoreNode.OpenSingle(_directory.Of("target"));
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _source.DisposeAsync();
        await _target.DisposeAsync();
        _stop.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("", "", "a=1 m/1=A m/3=d")]
    [InlineData("m/", "m/", "m/1=A m/3=d")]
    [InlineData("m/", "other/", "other/1=A other/3=d")]
    [InlineData("m/", "", "1=A 3=d")]
    [InlineData("", "all/", "all/a=1 all/m/1=A all/m/3=d")]
    public async Task What_is_there_and_what_comes_is_mirrored(string prefix, string destination, string expected)
    {
        await PutAsync(_source, "a", "1");
        await PutAsync(_source, "m/1", "a");
        await PutAsync(_source, "m/2", "b");
        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(_target);
        Task mirroring = Mirror(session, prefix, destination).RunAsync(default, _stop.Token);
        await PutAsync(_source, "m/1", "A");
        await _source.DeleteRangeAsync(new DeleteRangeRequest { Key = Bytes("m/2") });
        await PutAsync(_source, "m/3", "d");
        await UntilAsync(expected, mirroring);
    }

    /// <summary>One revision of the source is one of the destination, where a transaction holds it; and the base comes in pages that the source can answer.</summary>
    [Fact]
    public async Task What_one_revision_changed_arrives_as_one()
    {
        for (int i = 0; i < 30; i++)
        {
            await _source.PutAsync(new PutRequest { Key = Bytes($"big/{i:d2}"), Value = new byte[1_000_000] });
        }

        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(_target);
        StoreMirror mirror = Mirror(session, "", "", operationsMax: 5);
        Task mirroring = mirror.RunAsync(default, _stop.Token);
        await Deadline.UntilAsync(() => mirror.Mirrored == 30 || mirroring.IsCompleted, "the base is mirrored");
        long before = (await _target.StatusAsync()).Header.Revision.Value;
        await _source.TxnAsync(new TxnRequest { Success = [.. Enumerable.Range(0, 5).Select(i => new PutRequest { Key = Bytes($"t{i}") })] });
        await _source.TxnAsync(new TxnRequest { Success = [.. Enumerable.Range(0, 7).Select(i => new PutRequest { Key = Bytes($"u{i}") })] });
        await Deadline.UntilAsync(() => mirror.Mirrored == 42 || mirroring.IsCompleted, $"the changes are mirrored: {mirroring.Exception}");
        RangeResponse all = await _target.RangeAsync(new RangeRequest { Key = Bytes("t"), RangeEnd = Bytes("v") });
        Assert.Equal([before + 1, before + 2, before + 3], all.Items.Select(item => item.ModRevision.Value).Distinct().Order());
        Assert.Single(all.Items.Where(item => item.Key.Span[0] == 't').Select(item => item.ModRevision).Distinct());
    }

    [Fact]
    public async Task From_a_revision_on_changes_alone_are_mirrored_and_compacted_ones_are_told()
    {
        await PutAsync(_source, "a", "1");
        PutResponse second = await PutAsync(_source, "b", "2");
        await PutAsync(_source, "c", "3");
        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(_target);
        Task mirroring = Mirror(session, "", "").RunAsync(second.Header.Revision, _stop.Token);
        await UntilAsync("b=2 c=3", mirroring);
        await PutAsync(_source, "c", "4");
        await _source.CompactAsync(new CompactRequest((await _source.StatusAsync()).Header.Revision));
        await Assert.ThrowsAsync<CompactedException>(() => Mirror(session, "", "").RunAsync(second.Header.Revision, _stop.Token));
    }

    [Fact]
    public async Task A_key_that_would_have_no_name_is_refused()
    {
        await PutAsync(_source, "m", "1");
        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(_target);
        MetaStoreException refusal = await Assert.ThrowsAsync<MetaStoreException>(() => Mirror(session, "m", "").RunAsync(default, _stop.Token));
        Assert.Contains("--dest-prefix", refusal.Message);
    }

    private StoreMirror Mirror(IMetaStore target, string prefix, string destination, int operationsMax = 128) =>
        new(_source, target, new KeyMapping(Bytes(prefix), Bytes(destination)), operationsMax);

    private async Task UntilAsync(string expected, Task mirroring)
    {
        string now = string.Empty;
        await Deadline.UntilAsync(
            async () =>
            {
                RangeResponse all = await _target.RangeAsync(new RangeRequest { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } });
                now = string.Join(' ', all.Items.Select(item => $"{Encoding.UTF8.GetString(item.Key.Span)}={Encoding.UTF8.GetString(item.Value.Span)}"));
                return now == expected || mirroring.IsCompleted;
            },
            "the destination has what it should");
        Assert.True(now == expected, $"{now}: {mirroring.Exception}");
    }

    private static async Task<PutResponse> PutAsync(MetaStoreNode node, string key, string value) => await node.PutAsync(new PutRequest { Key = Bytes(key), Value = Bytes(value) });

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
