using System.Globalization;
using System.Text;
using MetaStore.Engine.Hosting;

namespace MetaStore.Etcd.Metrics;

/// <summary>Figures in the text format of Prometheus, version 0.0.4. Names and labels are the program's own and need no escapes.</summary>
internal sealed class PrometheusText
{
    /// <summary>What the text is, as the header of an answer has it.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new(64 << 10);

    /// <summary>A figure that only grows.</summary>
    public void Counter(string name, string help, double value)
    {
        Begin(name, "counter", help);
        Sample(name, string.Empty, value);
    }

    /// <summary>A figure that goes up and down, or of which etcd says so.</summary>
    public void Gauge(string name, string help, double value, string labels = "")
    {
        Begin(name, "gauge", help);
        Sample(name, labels, value);
    }

    /// <summary>Durations in buckets.</summary>
    public void Histogram(string name, string help, DurationHistogram durations)
    {
        Begin(name, "histogram", help);
        Buckets(name, string.Empty, durations);
    }

    /// <summary>Durations in buckets, of the figure begun last.</summary>
    public void Buckets(string name, string labels, DurationHistogram durations)
    {
        string before = labels.Length > 0 ? labels + "," : labels;
        IReadOnlyList<long> counts = durations.Counts;
        long sum = 0;
        for (int i = 0; i < counts.Count; i++)
        {
            sum += counts[i];
            string bound = i < durations.BoundsSeconds.Count ? Number(durations.BoundsSeconds[i]) : "+Inf";
            Sample(name + "_bucket", $"{before}le=\"{bound}\"", sum);
        }

        Sample(name + "_sum", labels, durations.SumSeconds);
        Sample(name + "_count", labels, sum);
    }

    /// <summary>Begins a figure with many samples.</summary>
    public void Begin(string name, string type, string help) => _text.Append($"# HELP {name} {help}\n# TYPE {name} {type}\n");

    /// <summary>One sample of the figure begun last.</summary>
    public void Sample(string name, string labels, double value)
    {
        _text.Append(name);
        if (labels.Length > 0)
        {
            _text.Append('{').Append(labels).Append('}');
        }

        _text.Append(' ').Append(Number(value)).Append('\n');
    }

    /// <summary>All of it.</summary>
    public byte[] ToBytes() => Encoding.UTF8.GetBytes(_text.ToString());

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
