using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// What an earlier life of the member may have promised to a leader (<see cref="NodeSettings.Silence"/>), where its settings were others: this life keeps that first. Without it, members that are
/// restarted one by one with a shorter election timeout could elect another leader while the one they were cut off from still counts on the longer.
/// </summary>
internal sealed class EarlierSilence
{
    private readonly IDisk _disk;
    private readonly NodeSettings _settings;
    private readonly TimeSpan _promised;

    /// <exception cref="CorruptionException">What was noted is damaged.</exception>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public EarlierSilence(IDisk disk, NodeSettings settings)
    {
        _disk = disk;
        _settings = settings;
        _promised = SilenceFile.Read(disk, settings.DataDirectory);
        if (settings.Silence > _promised)
        {
            SilenceFile.Write(disk, settings.DataDirectory, settings.Silence);
        }
    }

    /// <summary>Ticks of this life for which it is to be kept; 0 where its own settings keep as much.</summary>
    public int Ticks => _promised <= _settings.Silence ? 0 : (int)Math.Min(Math.Ceiling(_promised / _settings.HeartbeatInterval) + NodeSettings.SilenceSlackTicks, int.MaxValue);

    /// <summary>The node has ended in order, after so long: what was promised before it has passed.</summary>
    public void Forget(TimeSpan lived)
    {
        if (_promised <= _settings.Silence || lived <= _promised)
        {
            return;
        }

        try
        {
            SilenceFile.Write(_disk, _settings.DataDirectory, _settings.Silence);
        }
        catch (DiskException)
        {
            // The next life keeps silence for longer than it need.
        }
    }
}
