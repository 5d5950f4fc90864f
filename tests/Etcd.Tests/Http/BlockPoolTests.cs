using System.Buffers;
using MetaStore.Etcd.Http;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>The buffers of connections.</summary>
public class BlockPoolTests
{
    [Fact]
    public void ABlock_IsUsedAgain_AndHasOneOwnerAtATime()
    {
        using var pool = new BlockPool(blocksMax: 2);
        IMemoryOwner<byte> first = pool.Rent();
        using IMemoryOwner<byte> second = pool.Rent(BlockPool.BlockBytes);
        Assert.NotSame(first, second);
        Assert.Equal(BlockPool.BlockBytes, first.Memory.Length);

        first.Dispose();

        using IMemoryOwner<byte> again = pool.Rent(1);
        Assert.Same(first, again);
    }

    [Fact]
    public void ABlock_ThatIsReturnedTwice_IsAnError()
    {
        using var pool = new BlockPool(blocksMax: 2);
        IMemoryOwner<byte> block = pool.Rent();
        block.Dispose();

        Assert.Contains("returned twice", Assert.ThrowsAny<Exception>(block.Dispose).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NoMoreAreKept_ThanWasSaid_AndLargerOnesComeFromElsewhere()
    {
        using var pool = new BlockPool(blocksMax: 1);
        IMemoryOwner<byte>[] blocks = [pool.Rent(), pool.Rent(), pool.Rent()];
        foreach (IMemoryOwner<byte> block in blocks)
        {
            block.Dispose();
        }

        using IMemoryOwner<byte> kept = pool.Rent();
        using IMemoryOwner<byte> made = pool.Rent();
        using IMemoryOwner<byte> large = pool.Rent(BlockPool.BlockBytes + 1);
        Assert.Contains(kept, blocks);
        Assert.DoesNotContain(made, blocks);
        Assert.True(large.Memory.Length > BlockPool.BlockBytes);
    }
}
