using System.Text;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Raft;
using MetaStore.Testing.Processes;
using MetaStore.Wal;

namespace MetaStore.Conformance.Tests;

/// <summary>Two members with data and a witness, made by the command line alone: either of the two may be lost, and the one of higher priority leads.</summary>
public sealed class WitnessTests
{
    private const int Size = 3;
    private const int Witness = 2;
    private const string Value = "a value that no witness sees";

    private readonly ulong[] _ids = new ulong[Size];

    [SkippableFact]
    public async Task Either_member_with_data_may_be_lost_and_the_witness_holds_none()
    {
        await using var cluster = new GrowingCluster(Size);
        await cluster.StartAloneAsync(0);
        _ids[0] = (await cluster.MembersAsync(0)).Single().Id;
        _ids[1] = await cluster.AddAndStartAsync(1, through: 0);
        await cluster.AwaitVotersAsync(2, seenBy: 0);
        _ids[Witness] = await cluster.AddAndStartAsync(Witness, through: 0, "--witness");
        await cluster.AwaitVotersAsync(3, seenBy: 0);
        await PutAsync(cluster, "first");

        await WhatAWitnessRefusesAsync(cluster);

        await GrowingCluster.CommandAsync("member", "update", $"{_ids[1]:x}", "--priority", "200", "--endpoints", cluster.Endpoint(0));
        await Deadline.UntilAsync(async () => (await cluster.StatusAsync(0)).LeaderId == _ids[1], "the member of higher priority leads");

        await cluster.KillAsync(0);
        await PutAsync(cluster, "one member with data and the witness");
        await cluster.StartAloneAsync(0);
        await Deadline.UntilAsync(
            async () => (await cluster.StatusAsync(0)).AppliedIndex == (await cluster.StatusAsync(1)).AppliedIndex, "the member that was away has caught up");

        await cluster.KillAsync(1);
        await PutAsync(cluster, "the other one and the witness");
        await using MetaStoreClient client = cluster.Client(Witness, 0);
        Assert.Equal(
            ["w/first", "w/one member with data and the witness", "w/the other one and the witness"],
            (await StoreReading.ReadAllAsync(client, "w/", serializable: false)).Keys.Order(StringComparer.Ordinal));
        Assert.Equal(_ids[0], (await cluster.StatusAsync(0)).LeaderId);
        await cluster.KillAsync(Witness);
        await cluster.KillAsync(0);
        Assert.InRange(CommandBytes(cluster.DataDirectory(0)), 3 * Value.Length, int.MaxValue);
        Assert.Equal(0, CommandBytes(cluster.DataDirectory(Witness)));
    }

    private async Task WhatAWitnessRefusesAsync(GrowingCluster cluster)
    {
        Assert.Equal(
            [false, false, true],
            (await cluster.MembersAsync(0)).OrderBy(member => Array.IndexOf(_ids, member.Id)).Select(member => member.IsWitness));
        Assert.True((await cluster.StatusAsync(Witness)).IsWitness);
        foreach (string[] command in (string[][])[["get", "w/first"], ["get", "w/first", "--serializable"], ["put", "k", "v"], ["hash"]])
        {
            await GrowingCluster.RefusedAsync("holds no data to read or write", [.. command, "--endpoints", cluster.Endpoint(Witness)]);
        }

        await GrowingCluster.RefusedAsync("is a witness, which never leads", "move-leader", $"{_ids[Witness]:x}", "--endpoints", cluster.Endpoint(0));
        await GrowingCluster.RefusedAsync("it never leads", "member", "update", $"{_ids[Witness]:x}", "--priority", "7", "--endpoints", cluster.Endpoint(0));
        await GrowingCluster.RefusedAsync("can only promote a learner", "member", "promote", $"{_ids[Witness]:x}", "--endpoints", cluster.Endpoint(0));
    }

    /// <summary>What the commands in the log of a stopped node carry, in bytes.</summary>
    private static int CommandBytes(string directory)
    {
        var disk = new NativeDisk();
        WalIdentity identity = DirectoryIdentity.TryRead(disk, directory)!.Identity;
        using WriteAheadLog log = WriteAheadLog.Open(disk, directory, identity, new WalOptions(), out WalRecovery recovery);
        LogEntry[] commands = [.. recovery.Groups.Single().Entries.Where(entry => entry.Kind == (byte)EntryKind.Command)];
        Assert.True(commands.Length >= 3);
        return commands.Sum(entry => entry.Data.Length);
    }

    /// <summary>Until it is acknowledged: a put of one value to a key of its own does no harm if it is applied twice.</summary>
    private static async Task PutAsync(GrowingCluster cluster, string key)
    {
        await using MetaStoreClient client = cluster.Client(0, 1, Witness);
        await Deadline.UntilAsync(
            async () =>
            {
                try
                {
                    await client.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes("w/" + key), Value = Encoding.UTF8.GetBytes(Value) });
                    return true;
                }
                catch (MetaStoreException e) when (e.Outcome == Outcome.Unknown)
                {
                    return false;
                }
            },
            $"\"{key}\" is acknowledged");
    }
}
