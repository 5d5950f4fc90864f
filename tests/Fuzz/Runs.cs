using System.Diagnostics;
using System.Globalization;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz;

/// <summary>Runs what the command line asks for, and tells what came of it.</summary>
internal sealed class Runs(Arguments arguments, TextWriter output)
{
    /// <summary>Of one run, this many new inputs of a target are kept: the smallest. More would be of little use, and make the tree heavy.</summary>
    private const int KeptMax = 12;
    private const int KeptBytesMax = 256;

    private readonly CorpusFolder _found = new(CorpusFolder.Artifacts);

    public int Run()
    {
        if (arguments.Replay is not null)
        {
            return Replay(arguments.Target!, File.ReadAllBytes(arguments.Replay));
        }

        string[] names = arguments.Target is null ? [.. Catalogue.Names] : [arguments.Target];
        int failed = 0;
        long inputs = 0;
        foreach (string name in names)
        {
            FuzzReport report = RunTarget(name, TimeSpan.FromMinutes(arguments.Minutes / names.Length));
            inputs += report.Inputs;
            failed += report.Failure is null ? 0 : 1;
        }

        output.WriteLine($"targets={names.Length} inputs={inputs} failed={failed} seed={arguments.Seed}");
        return failed == 0 ? 0 : 1;
    }

    private FuzzReport RunTarget(string name, TimeSpan time)
    {
        foreach (byte[] fatal in LastInput.TakeOfTheDead(name))
        {
            output.WriteLine($"{name}: a run before this one died of {_found.Keep(name, fatal)}");
        }

        using FuzzTarget target = Catalogue.Create(name);
        var clock = Stopwatch.StartNew();
        FuzzReport report = new Fuzzer(target, arguments.Seed).Run(CorpusFolder.Kept.Read(name).Select(kept => kept.Input), _ => clock.Elapsed < time);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name,-18} {report.Inputs,12:N0} inputs {report.Inputs / clock.Elapsed.TotalSeconds,10:N0} a second {report.Outcomes,7:N0} outcomes, {report.Novel.Count:N0} of them new{(report.Failure is null ? string.Empty : "; FAILED")}"));
        if (report.Failure is not null)
        {
            Tell(name, report);
        }

        if (arguments.Keep)
        {
            foreach (byte[] novel in report.Novel.Where(novel => novel.Length <= KeptBytesMax).Take(KeptMax))
            {
                CorpusFolder.Kept.Keep(name, novel);
            }
        }

        return report;
    }

    private void Tell(string name, FuzzReport report)
    {
        string file = _found.Keep(name, report.FailedInput!);
        output.WriteLine($"FAILED target={name} seed={arguments.Seed} input={file} ({report.FailedInput!.Length} bytes: {Shape.Hex(report.FailedInput.AsSpan(0, Math.Min(64, report.FailedInput.Length)))})");
        output.WriteLine(report.Failure);
        output.WriteLine($"  ./build.sh fuzz {name} --replay {file}");
    }

    private int Replay(string name, byte[] input)
    {
        using FuzzTarget target = Catalogue.Create(name);
        try
        {
            output.WriteLine($"{name}: {target.Run(input)}");
            return 0;
        }
#pragma warning disable CA1031 // Whatever a target throws is what was to be seen.
        catch (Exception e)
#pragma warning restore CA1031
        {
            output.WriteLine($"{name}: FAILED\n{e}");
            return 1;
        }
    }
}
