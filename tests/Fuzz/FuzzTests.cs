using System.Text;
using MetaStore.Fuzz.Running;
using Xunit.Abstractions;

namespace MetaStore.Fuzz;

/// <summary>What is kept is run again, and a few fresh inputs of each target; and the fuzzer itself is shown to find what is wrong.</summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    private const ulong Seed = 20;

    public static TheoryData<string> Targets => [.. Catalogue.Names];

    [Theory]
    [MemberData(nameof(Targets))]
    public void What_must_hold_of_every_input_holds_of_those_that_are_kept_and_of_fresh_ones(string name)
    {
        using FuzzTarget target = Catalogue.Create(name);

        FuzzReport report = new Fuzzer(target, Seed).Run(CorpusFolder.Kept.Read(name).Select(kept => kept.Input), done => done < target.TestInputs);

        string replay = report.FailedInput is null ? string.Empty : $"./build.sh fuzz {name} --replay {new CorpusFolder(CorpusFolder.Artifacts).Keep(name, report.FailedInput)}";
        output.WriteLine($"{report.Inputs} inputs, {report.Outcomes} outcomes");
        Assert.True(report.Failure is null, $"seed {Seed}: {replay}\n{report.Failure}");
        Assert.Equal(target.TestInputs, report.Inputs);
        Assert.True(report.Outcomes > target.Seeds().Count() / 8, $"{report.Outcomes} outcomes: the target tells too little apart, or its seeds are no input any more");
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void The_same_input_ends_in_the_same_way(string name)
    {
        using FuzzTarget target = Catalogue.Create(name);
        foreach (byte[] seed in target.Seeds().Take(10))
        {
            Assert.Equal(target.Run(seed), target.Run(seed));
        }
    }

    [Fact]
    public void A_fault_is_found_step_by_step_and_made_small()
    {
        using var target = new Faulty();

        FuzzReport report = new Fuzzer(target, Seed).Run([], done => done < 200_000);

        Assert.IsType<InvalidOperationException>(report.Failure);
        Assert.Equal("bug", Encoding.ASCII.GetString(report.FailedInput!));
        Assert.Contains(report.Novel, novel => novel.AsSpan().StartsWith("bu"u8));
    }

    [Fact]
    public void The_same_seed_finds_it_with_the_same_input()
    {
        using var target = new Faulty();

        FuzzReport first = new Fuzzer(target, Seed).Run([], done => done < 200_000);
        FuzzReport second = new Fuzzer(target, Seed).Run([], done => done < 200_000);

        Assert.Equal(first.Inputs, second.Inputs);
        Assert.Equal(first.FailedInput, second.FailedInput);
    }

    [Fact]
    public void An_input_that_is_kept_and_fails_is_found_at_once()
    {
        using var target = new Faulty();

        FuzzReport report = new Fuzzer(target, Seed).Run(["a bug"u8.ToArray(), "bugs"u8.ToArray()], _ => false);

        Assert.NotNull(report.Failure);
        Assert.Equal(0, report.Inputs);
    }

    [Fact]
    public void A_reader_that_takes_too_much_memory_is_found()
    {
        Assert.Equal(3, AllocationBudget.Hold(1000, 4, () => new byte[60_000].Length > 0 ? 3 : 0));
        Assert.Throws<FuzzFailure>(() => AllocationBudget.Hold(1000, 4, () => new byte[70_000].Length));
    }

    [Theory]
    [InlineData("length 17 at byte 4 exceeds the 12 bytes left", "length 0 at byte 0 exceeds the 0 bytes left")]
    [InlineData("--name is \"a b\"; it must not be", "--name is ; it must not be")]
    public void Messages_that_differ_in_numbers_and_in_what_they_quote_are_one(string message, string shape) => Assert.Equal(shape, Shape.Of(message));

    /// <summary>A reader with a bug behind three steps, each of which can be seen from outside.</summary>
    private sealed class Faulty : FuzzTarget
    {
        public override string Name => "faulty";

        public override int BytesMax => 64;

        public override IEnumerable<byte[]> Seeds() => [[0], "hello"u8.ToArray()];

        public override string Run(ReadOnlyMemory<byte> input)
        {
            int matched = input.Span.CommonPrefixLength("bug"u8);
            return matched == 3 ? throw new InvalidOperationException("the bug") : $"{matched}";
        }
    }
}
