using MetaStore.Server.CommandLine;

var io = new ProgramIo(Console.OpenStandardInput(), Console.OpenStandardOutput(), Console.Error, Environment.GetEnvironmentVariable);
return await MetaStoreProgram.RunAsync(args, io);
