using MetaStore.Soak;

if (SoakOptions.Parse(args) is not { } options)
{
    return 64;
}

return await new SoakRun(options, Console.Out).RunAsync() ? 0 : 1;
