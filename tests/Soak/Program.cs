using MetaStore.Soak;

if (args is ["leaders", .. string[] rest])
{
    return LeadersOptions.Parse(rest) is { } leaders ? await new LeadersRun(leaders, Console.Out).RunAsync() : 64;
}

return MemoryOptions.Parse(args) is { } memory ? await new MemoryRun(memory, Console.Out).RunAsync() ? 0 : 1 : 64;
