using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using MetaStore.Chaos;

const string Usage = """
    usage: [--minutes N] [--seed S] [--front binary|grpc]
      --minutes N  about how long; 60 is 300 kills, 150 pauses and 100 partitions (default 60)
      --seed S     the plan of an earlier run (default: drawn, and told)
      --front F    which way the clients ask: by the binary protocol or by gRPC (default binary)
    exit code: 0 nothing lost, no violation, hashes equal; 1 anything else; 2 no progress; 3 crash; 64 wrong arguments
    """;

int minutes = 60;
ulong seed = (uint)RandomNumberGenerator.GetInt32(int.MaxValue);
ChaosFront front = ChaosFront.Binary;
for (int i = 0; i < args.Length; i += 2)
{
    string value = i + 1 < args.Length ? args[i + 1] : string.Empty;
    bool isUnderstood = args[i] switch
    {
        "--minutes" => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out minutes) && minutes > 0,
        "--seed" => ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out seed),
        "--front" => value is "binary" or "grpc" && Enum.TryParse(value, ignoreCase: true, out front),
        _ => false,
    };
    if (!isUnderstood)
    {
        Console.Error.WriteLine($"{args[i]} {value}: not understood\n{Usage}");
        return 64;
    }
}

using var stop = new CancellationTokenSource();
using PosixSignalRegistration interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, EndNodesFirst);
using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, EndNodesFirst);
Console.WriteLine($"seed={seed}; the same plan again: ./build.sh chaos --minutes {minutes} --seed {seed} --front {(front == ChaosFront.Grpc ? "grpc" : "binary")}");
try
{
    ChaosOptions options = ChaosOptions.Long(seed, minutes) with { Front = front };
    ChaosReport report = await ChaosRun.RunAsync(options, Console.Out, stop.Token);
    int wanted = 2 * options.ElectionMilliseconds;
    bool isReached = report.LeaderBack.Count > 0 && report.Percentile(0.99).TotalMilliseconds <= wanted;
    Console.WriteLine(
        $"leader back, {report.LeaderBack.Count} times: median {report.Percentile(0.5).TotalMilliseconds:F0} ms, longest {report.Percentile(1).TotalMilliseconds:F0} ms; "
        + $"99 of 100 within two election timeouts, {wanted} ms: {(isReached ? "reached" : "NOT REACHED")}; seed={seed}");
    Console.WriteLine(report);
    return report.IsRight ? 0 : 1;
}
catch (OperationCanceledException)
{
    return 130;
}
catch (TimeoutException e)
{
    Console.WriteLine($"NO PROGRESS seed={seed}: {e}");
    return 2;
}
#pragma warning disable CA1031 // Whatever a run throws is a finding.
catch (Exception e)
#pragma warning restore CA1031
{
    Console.WriteLine($"FAILED seed={seed}: {e}");
    return 3;
}

void EndNodesFirst(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
