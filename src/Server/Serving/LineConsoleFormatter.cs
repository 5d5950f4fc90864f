using MetaStore.Engine;
using MetaStore.Engine.Replication;
using MetaStore.Wal;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace MetaStore.Server.Serving;

/// <summary>
/// One line per event: time (UTC), level, category, message. Of an operating error the message tells all, so its stack trace is left out;
/// an exception that nobody foresaw keeps its own, on the lines behind.
/// </summary>
internal sealed class LineConsoleFormatter(TimeProvider time) : ConsoleFormatter(FormatName)
{
    public const string FormatName = "metastore-line";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        string message = logEntry.Formatter(logEntry.State, logEntry.Exception);
        textWriter.Write($"{time.GetUtcNow():yyyy-MM-ddTHH:mm:ss.fffZ} {LevelName(logEntry.LogLevel)} {ShortName(logEntry.Category)}: {OneLine(message)}");
        if (logEntry.Exception is { } exception)
        {
            if (!IsOperatingError(exception))
            {
                textWriter.Write(Environment.NewLine + exception);
            }
            else if (!message.Contains(exception.Message, StringComparison.Ordinal))
            {
                textWriter.Write(" " + OneLine(exception.Message));
            }
        }

        textWriter.WriteLine();
    }

    private static bool IsOperatingError(Exception exception) => exception switch
    {
        NodeFailedException { InnerException: { } cause } => IsOperatingError(cause),
        MemberRefusedException or CorruptionException or WalPoisonedException or WalIdentityException or WalVersionException => true,
        MetaStoreException or IOException or System.Net.Sockets.SocketException or OperationCanceledException => true,
        _ => false,
    };

    private static string LevelName(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info ",
        LogLevel.Warning => "warn ",
        LogLevel.Error => "error",
        _ => "fatal",
    };

    private static string ShortName(string category) => category[(category.LastIndexOf('.') + 1)..];

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
