using System.Globalization;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

/// <summary>What a cell of text means, the same for a training file and for a request.</summary>
internal sealed class Cells
{
    /// <summary>The most characters a cell may have; longer ones are a fault of the quoting more often than data.</summary>
    public const int MaxLength = 4096;

    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _missing;

    /// <param name="missing">trimmed cells that mean "no value"</param>
    public Cells(IReadOnlyList<string> missing) =>
        _missing = new HashSet<string>(missing.Select(mark => mark.Trim()), StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    /// <param name="csv">says what is missing</param>
    public Cells(CsvSpec csv)
        : this(csv.MissingMarks)
    {
    }

    /// <summary>Whether a trimmed cell means "no value"; an empty one always does.</summary>
    public bool IsMissing(ReadOnlySpan<char> cell) => cell.IsEmpty || _missing.Contains(cell);

    /// <summary>Reads a finite float32 in invariant notation.</summary>
    public static bool TryNumber(ReadOnlySpan<char> cell, out float number) =>
        float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && float.IsFinite(number);

    /// <summary>
    /// The one spelling of a category, class or group: <c>1.0</c> (as pandas writes) and <c>1</c> (as JSON and NumPy give) are the same word, <c>01</c> is another.
    /// </summary>
    public static ReadOnlySpan<char> Word(ReadOnlySpan<char> cell)
    {
        var digits = cell.Length > 0 && cell[0] == '-' ? cell[1..] : cell;
        var point = digits.IndexOf('.');
        if (point <= 0 || digits[..point].ContainsAnyExceptInRange('0', '9') || digits[(point + 1)..].ContainsAnyExceptInRange('0', '9'))
            return cell;
        return cell.TrimEnd('0').TrimEnd('.');
    }

    /// <inheritdoc cref="Word(ReadOnlySpan{char})"/>
    public static string Word(string cell)
    {
        var word = Word(cell.AsSpan().Trim());
        return word.Length == cell.Length ? cell : word.ToString();
    }

    /// <summary>The word of a number.</summary>
    public static string Word(double number) => number.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>A cell as a fault shows it: short.</summary>
    public static string Shown(ReadOnlySpan<char> cell) => cell.Length <= 60 ? $"'{cell}'" : $"'{cell[..57]}...' ({cell.Length} characters)";
}
