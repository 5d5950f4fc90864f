using System.Text;

namespace MetaStore.Schedules.Scheduling;

/// <summary>
/// Who went on at each mark where more than one could: all that a schedule is. As text, runs of one thread: <c>0x12,1x3,0</c> is thread 0 twelve times, thread 1 three times, thread 0 once.
/// </summary>
internal sealed class Choices
{
    private byte[] _threads = new byte[256];

    public int Count { get; private set; }

    public int this[int step] => _threads[step];

    public static Choices Parse(string text)
    {
        var choices = new Choices();
        foreach (string run in text.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = run.Split('x');
            int times = parts.Length > 1 ? int.Parse(parts[1]) : 1;
            for (int i = 0; i < times; i++)
            {
                choices.Add(int.Parse(parts[0]));
            }
        }

        return choices;
    }

    public void Clear() => Count = 0;

    public void Add(int thread)
    {
        if (Count == _threads.Length)
        {
            Array.Resize(ref _threads, 2 * Count);
        }

        _threads[Count++] = (byte)thread;
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        for (int i = 0; i < Count;)
        {
            int start = i;
            while (i < Count && _threads[i] == _threads[start])
            {
                i++;
            }

            text.Append(text.Length > 0 ? "," : "").Append(_threads[start]);
            if (i - start > 1)
            {
                text.Append('x').Append(i - start);
            }
        }

        return text.ToString();
    }
}
