namespace MetaStore.Server.Serving;

/// <summary>
/// How many connections of each kind clients may have. Each is an open file, of which the system gives a process so many; some are kept for the log, the snapshots and the peers. A store that
/// finds none left cannot go on with its log and stops, and no client may bring that about. (etcd limits its listener for the same reason, and keeps 150.)
/// </summary>
/// <param name="Silent">Connections that have said nothing yet, at each port.</param>
/// <param name="Binary">Connections of the binary protocol.</param>
/// <param name="Http">Connections of HTTP.</param>
internal sealed record ConnectionRoom(int Silent, int Binary, int Http)
{
    private const int Kept = 256;
    private const int SilentMost = 4096;
    private const int BinaryMost = 10_000;
    private const int HttpMost = 1_000_000;
    private const int Least = 16;

    /// <param name="files">Files that may be open at a time; null where the system does not say.</param>
    /// <param name="ports">Where clients come in.</param>
    public static ConnectionRoom Of(long? files, int ports)
    {
        long left = Math.Min(files ?? int.MaxValue, int.MaxValue) - Kept;
        int silent = (int)Math.Clamp(left / 8 / ports, Least, SilentMost);
        int binary = (int)Math.Clamp(left * 3 / 8, Least, BinaryMost);
        return new ConnectionRoom(silent, binary, (int)Math.Clamp(left - ((long)silent * ports) - binary, Least, HttpMost));
    }
}
