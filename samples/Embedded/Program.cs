// The smallest program that embeds a store: open it, put, get, and read the past.
// Run it twice: the second run finds what the first one left.
using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;

await using MetaStoreNode store = MetaStoreNode.OpenSingle(args.Length > 0 ? args[0] : "embedded.metastore");

byte[] key = Encoding.UTF8.GetBytes("greeting");
PutResponse first = await store.PutAsync(new PutRequest { Key = key, Value = Encoding.UTF8.GetBytes("hello") });
PutResponse second = await store.PutAsync(new PutRequest { Key = key, Value = Encoding.UTF8.GetBytes("hello again"), ReturnPrevious = true });
Console.WriteLine($"put at revisions {first.Header.Revision} and {second.Header.Revision}; before the second it was \"{Text(second.Previous!.Value)}\"");

RangeResponse now = await store.RangeAsync(new RangeRequest { Key = key });
Console.WriteLine($"now: \"{Text(now.Items[0])}\", version {now.Items[0].Version}");

RangeResponse then = await store.RangeAsync(new RangeRequest { Key = key, Revision = first.Header.Revision });
Console.WriteLine($"at revision {first.Header.Revision}: \"{Text(then.Items[0])}\"");

// A compare-and-put: succeeds only if nobody has changed the key since.
TxnResponse txn = await store.TxnAsync(new TxnRequest
{
    Compare = [new Compare { Key = key, Target = CompareTarget.ModRevision, Number = now.Items[0].ModRevision.Value }],
    Success = [new PutRequest { Key = key, Value = Encoding.UTF8.GetBytes("changed by one, and only one") }],
});
Console.WriteLine($"compare and put: {(txn.Succeeded ? "done" : "somebody was faster")}, revision {txn.Header.Revision}");

static string Text(KeyValue item) => Encoding.UTF8.GetString(item.Value.Span);
