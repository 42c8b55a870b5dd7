using System.Globalization;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Description;

/// <summary>What the cells of one column are like, in bounded memory.</summary>
internal sealed class ColumnTally
{
    private readonly Dictionary<string, long> _words = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private long _missing;
    private long _numbers;
    private long _texts;
    private bool _isWhole = true;
    private bool _tooMany;
    private double _mean;
    private double _squares;
    private double _least = double.PositiveInfinity;
    private double _most = double.NegativeInfinity;

    public ColumnTally() => _lookup = _words.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Counts a cell without a value.</summary>
    public void AddMissing() => _missing++;

    /// <summary>Counts a trimmed cell with a value. Mean and deviation grow by Welford's recurrence (1962).</summary>
    public void Add(ReadOnlySpan<char> cell)
    {
        if (double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
        {
            _numbers++;
            _isWhole &= number == Math.Floor(number);
            var off = number - _mean;
            _mean += off / _numbers;
            _squares += off * (number - _mean);
            _least = Math.Min(_least, number);
            _most = Math.Max(_most, number);
        }
        else
        {
            _texts++;
        }
        Count(Cells.Word(cell));
    }

    /// <summary>The description of the column.</summary>
    public ColumnDescription Describe(string name, int mostShown)
    {
        var type = _texts > 0 ? "text" : _numbers == 0 ? "empty" : _isWhole ? "integer" : "number";
        WordCount[] frequent = _tooMany ? [] : [.. _words.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal).Take(mostShown).Select(pair => new WordCount(pair.Key, pair.Value))];
        return type is "integer" or "number"
            ? new ColumnDescription(name, type, _missing, _words.Count, _least, _most, _mean, Math.Sqrt(_squares / _numbers), frequent)
            : new ColumnDescription(name, type, _missing, _words.Count, null, null, null, null, frequent);
    }

    private void Count(ReadOnlySpan<char> word)
    {
        if (_lookup.TryGetValue(word, out var count))
            _lookup[word] = count + 1;
        else if (_words.Count < DatasetDescriber.MostDistinct)
            _lookup[word] = 1;
        else
            _tooMany = true;
    }
}
