using MetaStore.Simulation;

return Arguments.Parse(args) is Arguments arguments ? new Runner(arguments).Run() : 64;
