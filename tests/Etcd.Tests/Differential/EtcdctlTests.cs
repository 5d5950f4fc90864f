using System.Text;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Processes;

namespace MetaStore.Etcd.Tests.Differential;

/// <summary>etcd's own command line against this store.</summary>
public sealed class EtcdctlTests
{
    [SkippableFact]
    public async Task Its_commands_work()
    {
        Skip.If(!RealEtcd.IsOnPath("etcdctl") && Environment.GetEnvironmentVariable("METASTORE_REQUIRE_ALL") != "1", "install etcdctl (Debian: etcd-client)");
        await using var node = new EtcdNode();
        await using ServedMethods served = await ServedMethods.StartAsync([.. node.Methods.All]);
        using var directory = new TestDirectory();
        (string Command, string Input, string Says)[] rows =
        [
            ("put a 1", "", "OK"),
            ("put a/b 2 --prev-kv", "", "OK"),
            ("get a --prefix --sort-by MODIFY --order DESCEND", "", "a/b\n2\na\n1"),
            ("get a -w fields", "", "\"CreateRevision\" : 2"),
            ("txn", "version(\"x\") = \"0\"\n\nput x 1\n\nget x\n\n", "SUCCESS"),
            ("del a --prev-kv", "", "1\na\n1"),
            ("lease grant 100", "", "granted with TTL(100s)"),
            ("lease list", "", "found 1 leases"),
            ("lease timetolive 123", "", "already expired"),
            ("compaction 3", "", "compacted revision 3"),
            ("endpoint status -w json", "", "\"version\":\"3.6.14\""),
            ("endpoint health", "", "is healthy"),
            ("endpoint hashkv", "", served.EndPoint.ToString()),
            ("member list", "", "1, started, single, http://10.0.0.1:2380, http://10.0.0.1:2379, false"),
            ("alarm list", "", ""),
            ("defrag", "", "Finished defragmenting"),
            ($"snapshot save {directory.Path}/copy", "", "Snapshot saved"),
            ("lock l echo held", "", "held"),
            ("user list", "", ""),
        ];
        foreach ((string command, string input, string says) in rows)
        {
            (int exitCode, string output, string errors) = await RunAsync(served, command, input);
            Assert.True(exitCode == 0 && (output + errors).Contains(says, StringComparison.Ordinal), $"etcdctl {command}: {exitCode}\n{output}{errors}");
        }

        (int code, _, string refused) = await RunAsync(served, "move-leader 5", string.Empty);
        Assert.True(code != 0 && refused.Contains("etcdserver: bad leader transferee", StringComparison.Ordinal), refused);
    }

    private static Task<(int ExitCode, string Output, string Errors)> RunAsync(ServedMethods served, string command, string input) =>
        ChildProcess.RunAsync(["etcdctl", "--endpoints", $"http://{served.EndPoint}", .. command.Split(' ')], Encoding.ASCII.GetBytes(input));
}
