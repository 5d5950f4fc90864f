using System.Globalization;
using System.Text;
using MetaStore.Engine;
using MetaStore.Server.Client;

namespace MetaStore.Server.Transactions;

/// <summary>An operation of a transaction as etcdctl writes it: the command line of put, get or del.</summary>
internal sealed class OperationText
{
    private readonly List<byte[]> _words = [];
    private readonly Dictionary<string, string> _flags = new(StringComparer.Ordinal);

    private OperationText(IReadOnlyList<Token> tokens, string[] switches, string[] values)
    {
        for (int i = 1; i < tokens.Count; i++)
        {
            if (!tokens[i].IsFlag)
            {
                _words.Add(tokens[i].Bytes);
                continue;
            }

            string text = Encoding.UTF8.GetString(tokens[i].Bytes);
            int equals = text.IndexOf('=');
            string name = equals < 0 ? text : text[..equals];
            if (switches.Contains(name, StringComparer.Ordinal) && equals < 0)
            {
                _flags[name] = "true";
            }
            else if (values.Contains(name, StringComparer.Ordinal) && (equals >= 0 || i + 1 < tokens.Count))
            {
                _flags[name] = equals >= 0 ? text[(equals + 1)..] : Encoding.UTF8.GetString(tokens[++i].Bytes);
            }
            else
            {
                throw new FormatException($"{text} is no flag of {Encoding.UTF8.GetString(tokens[0].Bytes)} here; known are {string.Join(", ", [.. switches, .. values.Select(v => v + "=…")])}");
            }
        }
    }

    /// <exception cref="FormatException">It is no operation.</exception>
    public static StoreRequest Parse(ReadOnlySpan<byte> line)
    {
        IReadOnlyList<Token> tokens = QuotedText.Split(line);
        string verb = tokens.Count == 0 ? string.Empty : Encoding.UTF8.GetString(tokens[0].Bytes);
        return verb switch
        {
            "put" => Put(new OperationText(tokens, ["--prev-kv", "--ignore-value", "--ignore-lease"], ["--lease"])),
            "get" => Get(new OperationText(
                tokens, ["--prefix", "--from-key", "--keys-only", "--count-only", "--serializable"], ["--limit", "--rev", "--sort-by", "--order"])),
            "del" => Delete(new OperationText(tokens, ["--prefix", "--from-key", "--prev-kv"], [])),
            _ => throw new FormatException($"\"{verb}\" is no operation; it must be put, get or del"),
        };
    }

    private static PutRequest Put(OperationText text)
    {
        bool ignoreValue = text.Has("--ignore-value");
        int words = ignoreValue ? 1 : 2;
        if (text._words.Count != words)
        {
            throw new FormatException(ignoreValue ? "put --ignore-value takes a key" : "put takes a key and a value; quote what holds blanks");
        }

        return new PutRequest
        {
            Key = text._words[0],
            Value = ignoreValue ? default : text._words[1],
            LeaseId = LeaseText.Parse("--lease", text._flags.GetValueOrDefault("--lease", "0")),
            ReturnPrevious = text.Has("--prev-kv"),
            IgnoreValue = ignoreValue,
            IgnoreLease = text.Has("--ignore-lease"),
        };
    }

    private static RangeRequest Get(OperationText text)
    {
        KeySpan span = text.Span("get");
        return new RangeRequest
        {
            Key = span.Key,
            RangeEnd = span.End,
            Limit = text.Number("--limit"),
            Revision = new Revision(text.Number("--rev")),
            KeysOnly = text.Has("--keys-only"),
            CountOnly = text.Has("--count-only"),
            Serializable = text.Has("--serializable"),
            SortTarget = text.Choice("--sort-by", SortText.Targets),
            SortOrder = text.Choice("--order", SortText.Orders),
        };
    }

    private static DeleteRangeRequest Delete(OperationText text)
    {
        KeySpan span = text.Span("del");
        return new DeleteRangeRequest { Key = span.Key, RangeEnd = span.End, ReturnPrevious = text.Has("--prev-kv") };
    }

    private bool Has(string flag) => _flags.ContainsKey(flag);

    private KeySpan Span(string verb) => _words.Count is 1 or 2
        ? KeySpan.Make(_words[0], _words.Count == 2 ? _words[1] : null, Has("--prefix"), Has("--from-key"))
        : throw new FormatException($"{verb} takes a key, or two for a range; quote what holds blanks");

    private long Number(string flag)
    {
        string text = _flags.GetValueOrDefault(flag, "0");
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            ? number
            : throw new FormatException($"{flag} is \"{text}\"; it must be a whole number");
    }

    private T Choice<T>(string flag, (string Word, T Value)[] choices)
    {
        string text = _flags.GetValueOrDefault(flag, choices[0].Word);
        foreach ((string word, T value) in choices)
        {
            if (string.Equals(word, text, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        throw new FormatException($"{flag} is \"{text}\"; it must be one of {string.Join(", ", choices.Select(choice => choice.Word))}");
    }
}
