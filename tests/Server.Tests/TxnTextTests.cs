using System.Text;
using MetaStore.Engine;
using MetaStore.Server.Transactions;

namespace MetaStore.Server.Tests;

public sealed class TxnTextTests
{
    [Fact]
    public void The_example_of_etcdctl_is_understood()
    {
        TxnRequest txn = Parse("mod(\"key1\") > \"0\"\n\nput key1 \"overwrote-key1\"\n\nput key1 \"created-key1\"\nput key2 \"some extra key\"\n\n");
        Compare compare = Assert.Single(txn.Compare);
        Assert.Equal((CompareTarget.ModRevision, CompareRelation.Greater, 0L, "key1"), (compare.Target, compare.Relation, compare.Number, Text(compare.Key)));
        Assert.Equal("overwrote-key1", Text(Assert.IsType<PutRequest>(Assert.Single(txn.Success)).Value));
        Assert.Equal(["created-key1", "some extra key"], txn.Failure.Cast<PutRequest>().Select(put => Text(put.Value)));
    }

    [Theory]
    [InlineData("value(\"k\") = \"v\"", CompareTarget.Value, CompareRelation.Equal, 0)]
    [InlineData("val(\"k\") != \"v\"", CompareTarget.Value, CompareRelation.NotEqual, 0)]
    [InlineData("version(\"k\") < \"3\"", CompareTarget.Version, CompareRelation.Less, 3)]
    [InlineData("ver( \"k\" )=\"3\"", CompareTarget.Version, CompareRelation.Equal, 3)]
    [InlineData("create(\"k\") = \"0\"", CompareTarget.CreateRevision, CompareRelation.Equal, 0)]
    [InlineData("c(\"k\") > \"-1\"", CompareTarget.CreateRevision, CompareRelation.Greater, -1)]
    [InlineData("lease(\"k\") = \"1f\"", CompareTarget.Lease, CompareRelation.Equal, 31)]
    public void Every_comparison_is_understood(string line, CompareTarget target, CompareRelation relation, long number)
    {
        Compare compare = Assert.Single(Parse(line).Compare);
        Assert.Equal((target, relation, number), (compare.Target, compare.Relation, compare.Number));
        Assert.Equal(target == CompareTarget.Value ? "v" : string.Empty, Text(compare.Value));
    }

    [Fact]
    public void Operations_take_the_flags_of_their_commands()
    {
        TxnRequest txn = Parse("\nput k 'a \"b\"' --prev-kv --lease=1f\nget \"\" --prefix --limit 3 --sort-by=modify --order descend --keys-only\ndel a b --prev-kv\n");
        Assert.Equal(3, txn.Success.Count);
        var put = (PutRequest)txn.Success[0];
        Assert.Equal(("a \"b\"", 31L, true), (Text(put.Value), put.LeaseId, put.ReturnPrevious));
        var get = (RangeRequest)txn.Success[1];
        Assert.Equal(("\0", "\0", 3L, SortTarget.ModRevision, SortOrder.Descending, true), (Text(get.Key), Text(get.RangeEnd), get.Limit, get.SortTarget, get.SortOrder, get.KeysOnly));
        var delete = (DeleteRangeRequest)txn.Success[2];
        Assert.Equal(("a", "b", true), (Text(delete.Key), Text(delete.RangeEnd), delete.ReturnPrevious));
    }

    [Fact]
    public void Quoted_text_is_bytes()
    {
        var put = (PutRequest)Assert.Single(Parse("\nput \"\\xff\\x00\" \"\\a\\n\\t\\\\\\\"\\101\\u00e9\"\n").Success);
        Assert.Equal([0xff, 0x00], put.Key.ToArray());
        Assert.Equal([0x07, 0x0a, 0x09, 0x5c, 0x22, 0x41, 0xc3, 0xa9], put.Value.ToArray());
    }

    [Fact]
    public void An_unquoted_dash_word_is_a_flag_and_a_quoted_one_is_not()
    {
        Assert.Equal("--x", Text(((PutRequest)Assert.Single(Parse("\nput k \"--x\"").Success)).Value));
        Assert.Contains("--x", Assert.Throws<RefusalException>(() => Parse("\nput k --x")).Message);
    }

    [Fact]
    public void Nothing_at_all_is_an_empty_transaction()
    {
        TxnRequest txn = Parse(string.Empty);
        Assert.Empty(txn.Compare);
        Assert.Empty(txn.Success);
        Assert.Empty(txn.Failure);
    }

    [Theory]
    [InlineData("mod(k) > \"0\"", 1, "double quotes")]
    [InlineData("mod(\"k\") >= \"0\"", 1, "relation")]
    [InlineData("mod(\"k\") > \"x\"", 1, "whole number")]
    [InlineData("mod(\"k\") > 0", 1, "double quotes")]
    [InlineData("size(\"k\") > \"0\"", 1, "\"size\"")]
    [InlineData("mod(\"k\") > \"0\" and", 1, "behind it")]
    [InlineData("put a b", 1, "a comparison looks like")]
    [InlineData("\nput a", 2, "a key and a value")]
    [InlineData("\nput a b c", 2, "a key and a value")]
    [InlineData("\nput \"a b", 2, "not closed")]
    [InlineData("\nput 'a b", 2, "not closed")]
    [InlineData("\nput a \"\\q\"", 2, "escape")]
    [InlineData("\nput a \"\\x1\"", 2, "digits")]
    [InlineData("\n\nfetch a", 3, "put, get or del")]
    [InlineData("\nget a b --prefix", 2, "exclude each other")]
    [InlineData("\nget a --limit many", 2, "--limit")]
    [InlineData("\nget a --order up", 2, "ascend")]
    [InlineData("\ndel a --limit 1", 2, "no flag of del")]
    [InlineData("\n\n\nput a b", 4, "blank line")]
    public void What_is_wrong_is_named_with_its_line(string text, int line, string expected)
    {
        RefusalException refusal = Assert.Throws<RefusalException>(() => Parse(text));
        Assert.StartsWith($"line {line} of the transaction: ", refusal.Message);
        Assert.Contains(expected, refusal.Message);
    }

    private static TxnRequest Parse(string text) => TxnText.Parse(Encoding.UTF8.GetBytes(text));

    private static string Text(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);
}
