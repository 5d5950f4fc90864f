using MetaStore.Schedules;

if (Arguments.Parse(args) is { } arguments)
{
    return new Runner(arguments, Console.Out).Run();
}

Console.Error.WriteLine(Arguments.Usage);
return 64;
