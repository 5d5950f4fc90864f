using System.Globalization;
using System.Text;
using MetaStore.Engine;

namespace MetaStore.Server.Transactions;

/// <summary>A comparison as etcdctl writes it: mod("key") > "0".</summary>
internal static class CompareText
{
    private const string Form = "a comparison looks like mod(\"key\") > \"0\" or value(\"key\") = \"text\"";

    /// <exception cref="FormatException">It is none.</exception>
    public static Compare Parse(ReadOnlySpan<byte> line)
    {
        int open = line.IndexOf((byte)'(');
        if (open < 0)
        {
            throw new FormatException(Form);
        }

        CompareTarget target = Target(Encoding.UTF8.GetString(line[..open]).Trim());
        ReadOnlySpan<byte> rest = line[(open + 1)..].Trim((byte)' ');
        byte[] key = QuotedText.Unquote(rest, out int length);
        rest = rest[length..].Trim((byte)' ');
        if (rest.IsEmpty || rest[0] != ')')
        {
            throw new FormatException(Form);
        }

        rest = rest[1..].Trim((byte)' ');
        int quote = rest.IndexOf((byte)'"');
        if (quote < 0)
        {
            throw new FormatException($"{Form}; the right side stands in double quotes, numbers too");
        }

        CompareRelation relation = Relation(Encoding.UTF8.GetString(rest[..quote]).Trim());
        byte[] operand = QuotedText.Unquote(rest[quote..], out int operandLength);
        if (!rest[(quote + operandLength)..].Trim((byte)' ').IsEmpty)
        {
            throw new FormatException($"{Form}; nothing may stand behind it");
        }

        return target == CompareTarget.Value
            ? new Compare { Key = key, Target = target, Relation = relation, Value = operand }
            : new Compare { Key = key, Target = target, Relation = relation, Number = Number(target, operand) };
    }

    private static CompareTarget Target(string word) => word switch
    {
        "ver" or "version" => CompareTarget.Version,
        "c" or "create" => CompareTarget.CreateRevision,
        "m" or "mod" => CompareTarget.ModRevision,
        "val" or "value" => CompareTarget.Value,
        "lease" => CompareTarget.Lease,
        _ => throw new FormatException($"\"{word}\" cannot be compared; it must be one of version, create, mod, value, lease"),
    };

    private static CompareRelation Relation(string word) => word switch
    {
        "=" => CompareRelation.Equal,
        "!=" => CompareRelation.NotEqual,
        ">" => CompareRelation.Greater,
        "<" => CompareRelation.Less,
        _ => throw new FormatException($"\"{word}\" is no relation; it must be one of = != > <"),
    };

    /// <summary>Leases are written in hexadecimal everywhere, so here too; all else is decimal.</summary>
    private static long Number(CompareTarget target, byte[] operand)
    {
        NumberStyles style = target == CompareTarget.Lease ? NumberStyles.AllowHexSpecifier : NumberStyles.AllowLeadingSign;
        string text = Encoding.UTF8.GetString(operand);
        return long.TryParse(text, style, CultureInfo.InvariantCulture, out long number)
            ? number
            : throw new FormatException($"\"{text}\" is not a whole number, which {target} is compared with");
    }
}
