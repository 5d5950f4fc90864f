using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Watches;

/// <summary>
/// What the log holds, as the event to tell of. Everything is copied: an event outlives the history that it was made of. One event in two shapes at most, with and without the
/// state before, is shared by all who are told of it.
/// </summary>
internal struct SharedEvent(LoggedEvent logged)
{
    private WatchEvent? _plain;
    private WatchEvent? _full;

    public readonly WatchEventType Type => logged.Version.IsTombstone ? WatchEventType.Delete : WatchEventType.Put;

    public readonly bool Passes(WatchFilter filter) => filter.Passes(Type, logged.Record.Key, logged.Version.Value);

    public WatchEvent For(WatchFilter filter)
    {
        if (!filter.WantsPrevious)
        {
            return _plain ??= Make(previous: null);
        }

        return _full ??= Previous() is { } previous ? Make(previous) : _plain ??= Make(previous: null);
    }

    private WatchEvent Make(KeyValue? previous) => new() { Type = Type, KeyValue = RangeReader.ToKeyValue(logged.Record.Key, logged.Version), Previous = previous };

    /// <summary>The state that the revision found, as in etcd: not one that it made itself on the way.</summary>
    private readonly KeyValue? Previous()
    {
        VersionRecord version = logged.Version.Previous;
        while (!version.IsNull && version.ModRevision == logged.Version.ModRevision)
        {
            version = version.Previous;
        }

        return version.IsNull || version.IsTombstone ? null : RangeReader.ToKeyValue(logged.Record.Key, version);
    }
}
