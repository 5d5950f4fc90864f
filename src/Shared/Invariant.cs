using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace MetaStore;

/// <summary>A broken promise inside the program itself. The node that meets one must stop: its state can no longer be trusted.</summary>
internal sealed class InvariantException(string message) : Exception(message);

/// <summary>
/// Checks that stay on in Release builds. An invariant names a fact that holds whatever the input, the disk
/// and the network do; anything the outside can cause is an ordinary, typed error instead.
/// </summary>
internal static class Invariant
{
    /// <summary>Stops the node with <paramref name="message"/>, which carries the values, unless <paramref name="condition"/> holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(
        [DoesNotReturnIf(false)] bool condition,
        [InterpolatedStringHandlerArgument(nameof(condition))] ref InvariantMessage message)
    {
        if (!condition)
        {
            Fail(message.ToString());
        }
    }

    /// <summary>As the other overload, for a message without values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check([DoesNotReturnIf(false)] bool condition, string message)
    {
        if (!condition)
        {
            Fail(message);
        }
    }

    /// <summary>Stops the node: this point cannot be reached while the invariants hold.</summary>
    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fail(string message) => throw new InvariantException(message);
}

/// <summary>Formats the message of a failed check only: a check that holds costs one branch and allocates nothing.</summary>
[InterpolatedStringHandler]
internal ref struct InvariantMessage
{
    private DefaultInterpolatedStringHandler _inner;

    public InvariantMessage(int literalLength, int formattedCount, bool condition, out bool enabled)
    {
        enabled = !condition;
        _inner = enabled ? new DefaultInterpolatedStringHandler(literalLength, formattedCount) : default;
    }

    public void AppendLiteral(string value) => _inner.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _inner.AppendFormatted(value);

    public override string ToString() => _inner.ToStringAndClear();
}
