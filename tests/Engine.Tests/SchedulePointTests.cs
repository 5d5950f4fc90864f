using System.Buffers.Binary;
using System.Diagnostics;
using System.Reflection;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Tests;

/// <summary>The marks of the lock-free pieces are for <c>tests/Schedules</c>: the build that ships calls none.</summary>
public sealed class SchedulePointTests
{
    private const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;
    private const byte Call = 0x28;
    private const byte CallVirtual = 0x6F;

    [Fact]
    public void No_method_of_the_engine_calls_a_mark()
    {
        MethodInfo[] marks = typeof(SchedulePoint).GetMethods(All);
        Assert.NotEmpty(marks);
        Assert.Empty(CallersOf([.. marks.Select(mark => mark.MetadataToken)]));

        // The search finds what there is.
        Assert.NotEmpty(CallersOf([typeof(EpochDomain).GetMethod(nameof(EpochDomain.Enter))!.MetadataToken]));
    }

    [Fact]
    public void Each_mark_is_left_out_unless_it_is_asked_for() => Assert.All(
        typeof(SchedulePoint).GetMethods(All),
        mark => Assert.Equal("SCHEDULE_POINTS", mark.GetCustomAttribute<ConditionalAttribute>()?.ConditionString));

    private static List<string> CallersOf(HashSet<int> tokens)
    {
        var callers = new List<string>();
        foreach (Type type in typeof(SchedulePoint).Assembly.GetTypes())
        {
            foreach (MethodBase method in type.GetMethods(All).Concat<MethodBase>(type.GetConstructors(All)))
            {
                byte[] code = method.GetMethodBody()?.GetILAsByteArray() ?? [];
                for (int i = 0; i + sizeof(int) < code.Length; i++)
                {
                    if (code[i] is Call or CallVirtual && tokens.Contains(BinaryPrimitives.ReadInt32LittleEndian(code.AsSpan(i + 1))))
                    {
                        callers.Add($"{type}.{method.Name}");
                    }
                }
            }
        }

        return callers;
    }
}
