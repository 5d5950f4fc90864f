namespace MetaStore.Simulation.Tests;

/// <summary>The checks with which a run ends say something only if runs come to them.</summary>
public class EndChecksTests
{
    private const int Seeds = 60;

    [Fact]
    public void MostRunsComeToThem()
    {
        int broken = 0, compared = 0;
        var runs = new Thread(() =>
        {
            for (ulong seed = 1; seed <= Seeds; seed++)
            {
                var world = new World(seed, RunOptions.Draw(seed), new Trace(null));
                world.Run();
                broken += world.WasBrokenOnce ? 1 : 0;
                compared += world.WereStatesCompared ? 1 : 0;
            }
        });
        runs.Start();
        runs.Join();

        Assert.InRange(broken, Seeds / 4, Seeds);
        Assert.InRange(compared, Seeds / 2, Seeds);
    }
}
