using MetaStore.Server.Serving;

namespace MetaStore.Server.Tests;

/// <summary>What is set for the pool's threads, and when not.</summary>
public class PoolTuningTests : IDisposable
{
    public PoolTuningTests() => AppContext.SetData(PoolTuning.Setting, null);

    [Theory]
    [InlineData(1, null, "0")]
    [InlineData(2, null, "0")]
    [InlineData(3, null, null)]
    [InlineData(2, "20", null)]
    public void ThePoolSpinsNot_WhereTheProcessorsAreFew_AndNobodyHasSaidOtherwise(int processors, string? variable, string? expected)
    {
        PoolTuning.Apply(processors, name => name == PoolTuning.Variable ? variable : null);

        Assert.Equal(expected, AppContext.GetData(PoolTuning.Setting));
    }

    [Fact]
    public void WhatIsConfigured_Stays()
    {
        AppContext.SetData(PoolTuning.Setting, "7");

        PoolTuning.Apply(processors: 2, _ => null);

        Assert.Equal("7", AppContext.GetData(PoolTuning.Setting));
    }

    public void Dispose()
    {
        AppContext.SetData(PoolTuning.Setting, null);
        GC.SuppressFinalize(this);
    }
}
