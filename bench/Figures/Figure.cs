using System.Globalization;

namespace MetaStore.Figures;

/// <summary>One measured figure, and what it is held against.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Value">How much.</param>
/// <param name="Unit">Of what.</param>
/// <param name="Reference">The same question put to something else in the same run, or the figure to reach; NaN for none.</param>
internal readonly record struct Figure(string Name, double Value, string Unit, double Reference)
{
    /// <summary>The line that is printed: name, value, unit, reference, ratio.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name,-44} {Show(Value),14} {Unit,-12} {Show(Reference),14} {(double.IsNaN(Reference) ? "-" : (Value / Reference).ToString("0.00", CultureInfo.InvariantCulture)),8}");

    private static string Show(double value) =>
        double.IsNaN(value) ? "-" : value.ToString(Math.Abs(value) >= 1000 ? "N0" : "0.0", CultureInfo.InvariantCulture);
}
