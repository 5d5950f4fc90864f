using MetaStore.Server;
using MetaStore.Server.CommandLine;
using MetaStore.Server.Serving;

PoolTuning.Apply(Environment.ProcessorCount, Environment.GetEnvironmentVariable);
var io = new ProgramIo(Console.OpenStandardInput(), Console.OpenStandardOutput(), Console.Error, Environment.GetEnvironmentVariable)
{
    VariableNames = Environment.GetEnvironmentVariables().Keys.Cast<string>(),
};
try
{
    return await MetaStoreProgram.RunAsync(ArgumentText.Restore(args, ArgumentText.ReadCommandLine), io);
}
catch (RefusalException e)
{
    await io.Error.WriteLineAsync($"metastore: {e.Message}");
    return e.ExitCode;
}
