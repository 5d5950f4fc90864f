using MetaStore.Server.Serving;

namespace MetaStore.Server.Tests;

/// <summary>Connections leave files for the store itself, whatever the system allows.</summary>
public sealed class ConnectionRoomTests
{
    [Theory]
    [InlineData(1024L, 1)]
    [InlineData(1024L, 4)]
    [InlineData(4096L, 1)]
    [InlineData(4096L, 8)]
    [InlineData(20_000L, 2)]
    [InlineData(65_536L, 8)]
    [InlineData(524_288L, 1)]
    public void All_connections_together_leave_files_for_the_store(long files, int ports)
    {
        ConnectionRoom room = ConnectionRoom.Of(files, ports);

        Assert.InRange(((long)room.Silent * ports) + room.Binary + room.Http, files / 2, files - 256);
    }

    [Theory]
    [InlineData(0L)]
    [InlineData(100L)]
    [InlineData(null)]
    [InlineData(long.MaxValue)]
    public void There_is_always_room_for_some(long? files)
    {
        ConnectionRoom room = ConnectionRoom.Of(files, ports: 1);

        Assert.All([room.Silent, room.Binary, room.Http], most => Assert.InRange(most, 16, 1_000_000));
    }

    [Fact]
    public void The_limit_is_the_soft_one()
    {
        string[] lines = ["Limit                     Soft Limit           Hard Limit           Units     ", "Max open files            1024                 524288               files     "];

        Assert.Equal(1024, OpenFiles.Parse(lines));
        Assert.Null(OpenFiles.Parse([lines[0]]));
        Assert.Null(OpenFiles.Parse(["Max open files            unlimited            unlimited            files"]));
    }
}
