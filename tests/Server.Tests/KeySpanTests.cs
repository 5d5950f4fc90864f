using MetaStore.Server.Client;

namespace MetaStore.Server.Tests;

public sealed class KeySpanTests
{
    [Fact]
    public void A_prefix_ends_at_the_first_key_behind_it()
    {
        Assert.Equal("b"u8.ToArray(), KeySpan.AfterPrefix("a"u8));
        Assert.Equal(new byte[] { 0x62 }, KeySpan.AfterPrefix([0x61, 0xff, 0xff]));
        Assert.Equal(new byte[] { 0 }, KeySpan.AfterPrefix([0xff, 0xff]));
        Assert.Equal(new byte[] { 0 }, KeySpan.AfterPrefix([]));
    }

    [Fact]
    public void The_empty_key_is_all_keys_with_a_flag_and_an_error_without()
    {
        Assert.Equal("00 00", Parts(KeySpan.FromText("", null, isPrefix: true, isFromKey: false)));
        Assert.Equal("00 00", Parts(KeySpan.FromText("", null, isPrefix: false, isFromKey: true)));
        Assert.Equal(ExitCode.Usage, Assert.Throws<RefusalException>(() => KeySpan.FromText("", null, false, false)).ExitCode);
    }

    [Fact]
    public void One_way_to_name_a_range_at_a_time()
    {
        Assert.Equal("61 63", Parts(KeySpan.FromText("a", "c", false, false)));
        Assert.Equal("61 00", Parts(KeySpan.FromText("a", null, false, true)));
        Assert.Equal("61 ", Parts(KeySpan.FromText("a", null, false, false)));
        Assert.Throws<RefusalException>(() => KeySpan.FromText("a", "b", true, false));
        Assert.Throws<RefusalException>(() => KeySpan.FromText("a", null, true, true));
    }

    private static string Parts(KeySpan span) => $"{Convert.ToHexString(span.Key.Span)} {Convert.ToHexString(span.End.Span)}";
}
