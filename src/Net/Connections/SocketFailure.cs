using System.Net.Sockets;

namespace MetaStore.Net.Connections;

/// <summary>Why a socket loop ended.</summary>
internal enum LoopEnd
{
    /// <summary>The other side closed or reset the connection: everyday.</summary>
    ClosedByOther,

    /// <summary>This side closed it: stopping, a limit, a newer connection.</summary>
    ClosedHere,

    /// <summary>The other side broke the protocol.</summary>
    ProtocolBroken,

    /// <summary>Anything else: worth a loud log line.</summary>
    Unexpected,
}

/// <summary>Sorts the exceptions of sockets and pipes, for the outer layer of each loop.</summary>
internal static class SocketFailure
{
    public static LoopEnd Classify(Exception exception) => exception switch
    {
        Wire.WireFormatException or Wire.HandshakeRefusedException => LoopEnd.ProtocolBroken,
        OperationCanceledException or ObjectDisposedException => LoopEnd.ClosedHere,
        EndOfStreamException => LoopEnd.ClosedByOther,
        IOException { InnerException: SocketException inner } => Classify(inner.SocketErrorCode),
        IOException { InnerException: ObjectDisposedException } => LoopEnd.ClosedHere,
        SocketException socket => Classify(socket.SocketErrorCode),
        // The pipe was completed by the other loop of this connection.
        InvalidOperationException { Source: "System.IO.Pipelines" } => LoopEnd.ClosedHere,
        _ => LoopEnd.Unexpected,
    };

    private static LoopEnd Classify(SocketError error) => error switch
    {
        SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown or SocketError.TimedOut
            or SocketError.NetworkReset or SocketError.HostUnreachable or SocketError.NetworkUnreachable
            or SocketError.NetworkDown or SocketError.ConnectionRefused or SocketError.Disconnecting => LoopEnd.ClosedByOther,
        SocketError.OperationAborted or SocketError.Interrupted or SocketError.NotSocket => LoopEnd.ClosedHere,
        _ => LoopEnd.Unexpected,
    };
}
