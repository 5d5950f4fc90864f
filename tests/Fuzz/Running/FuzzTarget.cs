namespace MetaStore.Fuzz.Running;

/// <summary>Something that reads bytes which anybody may have made, and what must hold of it whatever they are. One thread.</summary>
internal abstract class FuzzTarget : IDisposable
{
    /// <summary>As the command line and the corpus name it.</summary>
    public abstract string Name { get; }

    /// <summary>Bytes of an input, at most.</summary>
    public virtual int BytesMax => 4096;

    /// <summary>Fresh inputs that the tests run; fewer where one takes long.</summary>
    public virtual int TestInputs => 1_000;

    /// <summary>Pieces that mean something to the reader.</summary>
    public virtual IReadOnlyList<byte[]> Words => [];

    /// <summary>What the program itself writes: well-formed, whatever the format is today.</summary>
    public abstract IEnumerable<byte[]> Seeds();

    /// <summary>
    /// Runs an input. Returns a text that is the same for inputs which did the same: how it ended, what came out, in which order of size. An input with a new text is kept, and
    /// mutated further.
    /// </summary>
    /// <exception cref="Exception">Any at all: the input has found something.</exception>
    public abstract string Run(ReadOnlyMemory<byte> input);

    public virtual void Dispose()
    {
        // Most hold nothing.
    }
}

/// <summary>Something that must hold of every input does not hold of this one.</summary>
internal sealed class FuzzFailure(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Fails unless the condition holds.</summary>
    public static void Unless(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new FuzzFailure(otherwise);
        }
    }

    /// <summary>Fails unless both texts are the same.</summary>
    public static void UnlessEqual(string first, string second, string otherwise) =>
        Unless(string.Equals(first, second, StringComparison.Ordinal), $"{otherwise}:\n  {Cut(first)}\n  {Cut(second)}");

    private static string Cut(string text) => text.Length <= 600 ? text : text[..600] + "…";
}
