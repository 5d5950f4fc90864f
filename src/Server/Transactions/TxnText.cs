using MetaStore.Engine;

namespace MetaStore.Server.Transactions;

/// <summary>
/// A transaction as etcdctl reads it: comparisons, a blank line, operations if all hold, a blank line, operations if not. The end of the text ends
/// the section it stands in.
/// </summary>
internal static class TxnText
{
    /// <exception cref="RefusalException">The text is no transaction; the message names the line.</exception>
    public static TxnRequest Parse(ReadOnlySpan<byte> text)
    {
        var compares = new List<Compare>();
        var branches = new List<StoreRequest>[] { [], [] };
        int section = 0;
        int number = 0;
        while (!text.IsEmpty)
        {
            int end = text.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = (end < 0 ? text : text[..end]).Trim(" \t\r"u8);
            text = end < 0 ? default : text[(end + 1)..];
            number++;
            if (line.IsEmpty)
            {
                section++;
                continue;
            }

            try
            {
                if (section == 0)
                {
                    compares.Add(CompareText.Parse(line));
                }
                else if (section <= branches.Length)
                {
                    branches[section - 1].Add(OperationText.Parse(line));
                }
                else
                {
                    throw new FormatException("nothing may stand behind the blank line that ends the failure operations");
                }
            }
            catch (Exception e) when (e is FormatException or RefusalException)
            {
                throw new RefusalException(ExitCode.Usage, $"line {number} of the transaction: {e.Message}", e);
            }
        }

        return new TxnRequest { Compare = compares, Success = branches[0], Failure = branches[1] };
    }
}
