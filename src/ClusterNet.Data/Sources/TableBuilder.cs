using ClusterNet.Core.Metrics;

namespace ClusterNet.Data.Sources;

/// <summary>Turns rows of cells into typed columns: those of a training file and those of a request alike.</summary>
internal sealed class TableBuilder
{
    /// <summary>The most categories a column may have; a column with more is an identifier or a measurement.</summary>
    private const int MostWords = 10_000;

    /// <summary>What to do about a cell of a training file that is not a number.</summary>
    public const string FileRemedy =
        "name the column under data.categorical if its cells are categories, the cell under data.csv.missing if it means no value, or the column under data.exclude";

    /// <summary>Cells of one column that are told one by one; the others are counted, or one wrong column would hide what is wrong with the rest.</summary>
    private const int MostMisfitsShown = 3;

    private readonly (ColumnUse Use, int Cell, ColumnBuilder Builder)[] _columns;
    private readonly int[] _misfits;
    private readonly Cells _cells;
    private readonly FaultList _faults;
    private readonly string _remedy;
    private int _rows;

    /// <param name="uses">the columns to take</param>
    /// <param name="columns">the columns of the rows to come, each of <paramref name="uses"/> among them</param>
    /// <param name="cells">what cells mean</param>
    /// <param name="faults">receives cells that are not what they should be</param>
    /// <param name="remedy">what to do about a cell that is not a number</param>
    public TableBuilder(IReadOnlyList<ColumnUse> uses, IReadOnlyList<string> columns, Cells cells, FaultList faults, string remedy)
    {
        var index = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < columns.Count; i++)
            index.TryAdd(columns[i], i);
        _columns = [.. uses.Select(use => (use, index[use.Name], BuilderOf(use)))];
        _misfits = new int[_columns.Length];
        _cells = cells;
        _faults = faults;
        _remedy = remedy;
    }

    /// <summary>Takes the cells of one row.</summary>
    public void Add(IRow row)
    {
        _rows = checked(_rows + 1);
        for (var i = 0; i < _columns.Length; i++)
        {
            var (use, index, builder) = _columns[i];
            var cell = row.Cell(index);
            if (_cells.IsMissing(cell))
            {
                if (use.Role is ColumnRole.Class or ColumnRole.Value or ColumnRole.Group or ColumnRole.Part)
                    _faults.Add(row.Place, $"column '{use.Name}': {Cells.Shown(cell)} means no value, but the {NameOf(use.Role)} is needed; fill it in or take the row out");
                builder.AddMissing();
            }
            else if (!builder.TryAdd(cell) && ++_misfits[i] <= MostMisfitsShown)
            {
                _faults.Add(row.Place, $"column '{use.Name}': {Cells.Shown(cell)} is not a finite number; {(use.Role == ColumnRole.Value ? "a regression's target must be one" : _remedy)}");
            }
        }
    }

    /// <summary>All rows as typed columns.</summary>
    /// <param name="source">how faults call the source</param>
    /// <param name="places">where each row stands</param>
    public Frame Build(string source, SamplePlaces places)
    {
        var features = new List<Column>();
        Column? target = null;
        WordColumn? groups = null, parts = null;
        for (var i = 0; i < _columns.Length; i++)
        {
            var (use, _, builder) = _columns[i];
            if (_misfits[i] > MostMisfitsShown)
                _faults.Add(source, FormattableString.Invariant($"column '{use.Name}': {_misfits[i] - MostMisfitsShown:N0} more of its cells are not finite numbers"));
            if (builder is WordColumnBuilder { Overflowed: true })
            {
                _faults.Add(source, $"column '{use.Name}' has more than {MostOf(use)} different {(use.Role == ColumnRole.Class ? "classes; is this a regression (data.task)?" : "categories; is it an identifier? Name it under data.exclude")}");
            }
            var column = builder.Build();
            switch (use.Role)
            {
                case ColumnRole.Class or ColumnRole.Value:
                    target = column;
                    break;
                case ColumnRole.Group:
                    groups = (WordColumn)column;
                    break;
                case ColumnRole.Part:
                    parts = (WordColumn)column;
                    break;
                default:
                    features.Add(column);
                    break;
            }
        }
        _faults.ThrowIfAny();
        return new Frame(new TableFeatures(features, _rows), target, groups, parts, places);
    }

    private static ColumnBuilder BuilderOf(ColumnUse use) => use.Role switch
    {
        ColumnRole.Number or ColumnRole.Value => new NumberColumnBuilder(use.Name),
        ColumnRole.Category or ColumnRole.Class => new WordColumnBuilder(use.Name, MostOf(use)),
        _ => new WordColumnBuilder(use.Name),
    };

    private static int MostOf(ColumnUse use) => use.Role == ColumnRole.Class ? MetricAccumulator.MaxClasses : MostWords;

    private static string NameOf(ColumnRole role) => role switch
    {
        ColumnRole.Group => "group",
        ColumnRole.Part => "part (train, validation or test)",
        _ => "target",
    };
}
