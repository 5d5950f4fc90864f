using System.Globalization;
using MetaStore.Engine;

namespace MetaStore.Server.Checking;

/// <summary>How long writes took, and how they failed. Many threads.</summary>
internal sealed class WriteTimes
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, int> _errors = new(StringComparer.Ordinal);
    private long _count;
    private double _sum;
    private double _squares;

    /// <summary>The slowest write, in seconds.</summary>
    public double Slowest { get; private set; }

    /// <summary>Writes that succeeded.</summary>
    public long Count => _count;

    /// <summary>Errors by their texts, and how often each came.</summary>
    public IReadOnlyDictionary<string, int> Errors => _errors;

    /// <summary>The standard deviation, in seconds.</summary>
    public double Deviation => _count == 0 ? 0 : Math.Sqrt(Math.Max(0, (_squares / _count) - (_sum / _count * (_sum / _count))));

    public void Add(TimeSpan took)
    {
        double seconds = took.TotalSeconds;
        lock (_gate)
        {
            _count++;
            _sum += seconds;
            _squares += seconds * seconds;
            Slowest = Math.Max(Slowest, seconds);
        }
    }

    public void Add(MetaStoreException error)
    {
        lock (_gate)
        {
            _errors[error.Message] = _errors.GetValueOrDefault(error.Message) + 1;
        }
    }

    /// <summary>The errors as etcdctl tells them; nothing where there were none.</summary>
    public IEnumerable<string> DescribeErrors() => _errors.Count == 0
        ? []
        : _errors.Select(error => string.Create(CultureInfo.InvariantCulture, $"FAIL: ERROR({error.Key}) -> {error.Value}")).Prepend("FAIL: too many errors");
}
