using System.Buffers;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Gateway;

/// <summary>
/// Finds where an object of JSON, or a null in its place, ends that comes in pieces. Each byte is looked at once, however small the pieces are: to begin anew with each would let a client that sends byte by byte keep a
/// processor busy. Whether the object is sound is for its parser to say.
/// </summary>
internal sealed class JsonBoundary
{
    /// <summary>Objects and lists in each other that etcd's reader of JSON takes.</summary>
    private const int DepthMax = 10_000;

    private const string Null = "null";

    private long _scanned;
    private int _depth;
    private int _lettersOfNull;
    private bool _isInText;
    private bool _isEscaped;

    /// <summary>An object has begun, and its end is not there yet.</summary>
    public bool HasBegun => _depth > 0 || _lettersOfNull > 0;

    /// <summary>
    /// How many bytes the first object takes, with what is before it; 0 where it is not there as a whole. The same bytes are given again until then, and more behind them.
    /// </summary>
    /// <exception cref="RpcException">What begins is none, or too deep.</exception>
    public long Measure(in ReadOnlySequence<byte> buffer)
    {
        foreach (ReadOnlyMemory<byte> piece in buffer.Slice(_scanned))
        {
            foreach (byte value in piece.Span)
            {
                _scanned++;
                if (IsEnd(value))
                {
                    long length = _scanned;
                    _scanned = 0;
                    return length;
                }
            }
        }

        return 0;
    }

    private bool IsEnd(byte value)
    {
        if (_isInText)
        {
            _isInText = _isEscaped || value != '"';
            _isEscaped = !_isEscaped && value == '\\';
            return false;
        }

        if (_lettersOfNull > 0)
        {
            return IsEndOfNull(value);
        }

        switch (value)
        {
            case (byte)'{' or (byte)'[':
                return ++_depth > DepthMax ? throw Refused(value, "exceeded max depth") : false;
            case (byte)'n' when !HasBegun:
                _lettersOfNull = 1;
                return false;
            case (byte)'}' or (byte)']' when HasBegun:
                return --_depth == 0;
            case (byte)'"' when HasBegun:
                _isInText = true;
                return false;
            default:
                bool isBlank = value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';
                return HasBegun || isBlank ? false : throw Refused(value, "looking for beginning of value");
        }
    }

    private bool IsEndOfNull(byte value)
    {
        if (value != Null[_lettersOfNull])
        {
            throw Refused(value, $"in literal {Null} (expecting '{Null[_lettersOfNull]}')");
        }

        _lettersOfNull = (_lettersOfNull + 1) % Null.Length;
        return _lettersOfNull == 0;
    }

    /// <summary>The words are those of etcd's reader.</summary>
    private static RpcException Refused(byte value, string why) =>
        new(StatusCode.InvalidArgument, $"invalid character {(value is > (byte)' ' and <= (byte)'~' ? $"'{(char)value}'" : $"'\\x{value:x2}'")} {why}");
}
