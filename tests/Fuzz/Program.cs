using MetaStore.Fuzz;

if (Arguments.Parse(args) is { } arguments)
{
    return new Runs(arguments, Console.Out).Run();
}

Console.Error.WriteLine(Arguments.Usage);
return 64;
