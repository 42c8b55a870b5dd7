using System.Runtime.InteropServices;

namespace ClusterNet.Data.Preparation;

/// <summary>The training values of a column or lane, block by block in a fixed order, after the steps that were fitted on them so far.</summary>
/// <param name="blocks">hands each block of raw values to a visitor; the same blocks in the same order whenever it is called</param>
internal sealed class Lane(Action<Lane.Visitor> blocks)
{
    private readonly List<NumberStep> _steps = [];

    /// <summary>Sees one block; may overwrite it.</summary>
    internal delegate void Visitor(Span<double> values);

    /// <summary>The steps so far.</summary>
    public IReadOnlyList<NumberStep> Steps => _steps;

    /// <summary>Adds a step that was fitted on this lane.</summary>
    public void Add(NumberStep step) => _steps.Add(step);

    /// <summary>Number, mean, population standard deviation, least and most of the values that are not missing; two passes, in double.</summary>
    public LaneStatistics Statistics()
    {
        var count = 0L;
        var sum = 0.0;
        var least = double.PositiveInfinity;
        var most = double.NegativeInfinity;
        Visit(values =>
        {
            foreach (var value in values)
            {
                if (double.IsNaN(value))
                    continue;
                count++;
                sum += value;
                least = Math.Min(least, value);
                most = Math.Max(most, value);
            }
        });
        var mean = sum / count;
        var squares = 0.0;
        Visit(values =>
        {
            foreach (var value in values)
                squares += double.IsNaN(value) ? 0 : (value - mean) * (value - mean);
        });
        // the mean of equal values may be off by a rounding, which must not pass for a deviation
        return most > least ? new LaneStatistics(count, mean, Math.Sqrt(squares / count), least, most) : new LaneStatistics(count, least, 0, least, most);
    }

    /// <summary>The values that are not missing, ascending.</summary>
    public ReadOnlySpan<double> Sorted()
    {
        var sorted = new List<double>();
        Visit(values =>
        {
            foreach (var value in values)
            {
                if (!double.IsNaN(value))
                    sorted.Add(value);
            }
        });
        sorted.Sort();
        return CollectionsMarshal.AsSpan(sorted);
    }

    private void Visit(Visitor visitor) => blocks(values =>
    {
        foreach (var step in _steps)
            step.Apply(values);
        visitor(values);
    });
}

/// <summary>What a lane's training values are like.</summary>
internal readonly record struct LaneStatistics(long Count, double Mean, double Deviation, double Least, double Most);
