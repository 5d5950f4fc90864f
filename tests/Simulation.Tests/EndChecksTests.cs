namespace MetaStore.Simulation.Tests;

/// <summary>The checks with which a run ends say something only if runs come to them.</summary>
public class EndChecksTests
{
    private const int Seeds = 60;

    [Fact]
    public void MostRunsComeToThem()
    {
        int broken = 0, compared = 0;
        string? failure = null;
        var runs = new Thread(() =>
        {
            for (ulong seed = 1; seed <= Seeds && failure is null; seed++)
            {
                var world = new World(seed, RunOptions.Draw(seed), new Trace(null));
                try
                {
                    world.Run();
                }
                catch (SimulationFailure e)
                {
                    failure = $"seed {seed}: {e.Message}";
                }

                broken += world.WasBrokenOnce ? 1 : 0;
                compared += world.WereStatesCompared ? 1 : 0;
            }
        });
        runs.Start();
        runs.Join();

        Assert.Null(failure);
        Assert.InRange(broken, Seeds / 4, Seeds);
        Assert.InRange(compared, Seeds / 2, Seeds);
    }
}
