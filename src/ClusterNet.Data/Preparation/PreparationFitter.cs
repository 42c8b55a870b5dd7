using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Preparation;

/// <summary>Fits a job's preparation steps, in their order, on the training part and nothing else.</summary>
internal sealed class PreparationFitter
{
    private readonly Frame _frame;
    private readonly int[] _rows;
    private readonly DataSpec _spec;
    private readonly FaultList _faults = new();

    private PreparationFitter(Frame frame, int[] rows, DataSpec spec) => (_frame, _rows, _spec) = (frame, rows, spec);

    /// <summary>Fits.</summary>
    /// <param name="frame">the source</param>
    /// <param name="rows">the training part</param>
    /// <param name="spec">the data section</param>
    /// <exception cref="InputException">a step that can't be applied, a shape that doesn't fit, classes that labels does not name</exception>
    public static FittedPreparation Fit(Frame frame, int[] rows, DataSpec spec) => new PreparationFitter(frame, rows, spec).Fit();

    private static string Place(int step) => $"data.preparation[{step}]";

    private FittedPreparation Fit()
    {
        var classes = Classes();
        InputPreparation inputs = _frame.Features switch
        {
            TableFeatures table => FitTable(table),
            ArrayFeatures array => FitArray(array),
            _ => throw new InvalidOperationException($"{_frame.Features.GetType().Name} has no preparation"),
        };
        _faults.ThrowIfAny();
        var shape = ShapeOf(inputs.Elements, inputs is ArrayPreparation fitted ? fitted.SourceShape : [inputs.Elements]);
        _faults.ThrowIfAny();
        IReadOnlyList<string> names = inputs is TablePreparation columns ? [.. columns.Columns.Select(column => column.Name)] : [((ArrayPreparation)inputs).Name];
        return new FittedPreparation(new DataSignature(_spec.Task, names, shape, classes, _frame.Target!.Name), inputs, _spec.Csv.MissingMarks);
    }

    private IReadOnlyList<int> ShapeOf(int elements, IReadOnlyList<int> natural)
    {
        if (_spec.Shape.Count == 0)
            return natural;
        if (_spec.Shape.Any(axis => axis < 1) || _spec.Shape.Aggregate(1L, (product, axis) => Math.Min(int.MaxValue, product * axis)) != elements)
            _faults.Add("data.shape", $"[{string.Join(", ", _spec.Shape)}] is not a shape of {elements} elements, which a prepared sample has");
        return _spec.Shape;
    }

    private TablePreparation FitTable(TableFeatures table)
    {
        var names = table.Columns.Select(column => column.Name).ToArray();
        for (var step = 0; step < _spec.Preparation.Count; step++)
        {
            foreach (var name in _spec.Preparation[step].Columns.Where(name => _spec.Preparation[step].Kind != PreparationKind.Labels && !names.Contains(name, StringComparer.Ordinal)))
                _faults.AddUnknown($"{Place(step)}.columns", "feature", name, _spec.Source, names);
        }
        return new TablePreparation([.. table.Columns.Select<Column, ColumnPreparation>(column => column is WordColumn words ? FitCategories(words) : FitNumbers((NumberColumn)column))]);
    }

    private ColumnPreparation.Number FitNumbers(NumberColumn column)
    {
        var lane = new Lane(visit =>
        {
            Span<double> block = stackalloc double[1024];
            for (var start = 0; start < _rows.Length; start += block.Length)
            {
                var values = block[..Math.Min(block.Length, _rows.Length - start)];
                for (var i = 0; i < values.Length; i++)
                    values[i] = column.Values[_rows[start + i]];
                visit(values);
            }
        });
        for (var step = 0; step < _spec.Preparation.Count; step++)
        {
            var spec = _spec.Preparation[step];
            var named = spec.Columns.Contains(column.Name, StringComparer.Ordinal);
            if (spec.Kind is PreparationKind.OneHot or PreparationKind.Labels || (spec.Columns.Count > 0 && !named))
                continue;
            // a word to impute with, and no column named: it is meant for the categories
            if (spec is { Kind: PreparationKind.Impute, Strategy: ImputeStrategy.Constant, Value: not null } && !named && NumberStepFitter.Number(spec.Value) is null)
                continue;
            if (NumberStepFitter.Fit(spec, lane, $"column '{column.Name}'", Place(step), _faults) is { } fitted)
                lane.Add(fitted);
        }
        return new ColumnPreparation.Number(column.Name, lane.Steps);
    }

    /// <summary>Categories are filled in first and become one-hot columns last, with or without a step that says so.</summary>
    private ColumnPreparation.Category FitCategories(WordColumn column)
    {
        string? fill = null;
        var counts = _rows.Select(row => column[row]).OfType<string>().CountBy(word => word, StringComparer.Ordinal)
            .OrderBy(pair => pair.Key, WordOrder.Instance).ToArray();
        for (var step = 0; step < _spec.Preparation.Count; step++)
        {
            var spec = _spec.Preparation[step];
            var named = spec.Columns.Contains(column.Name, StringComparer.Ordinal);
            if (spec.Kind is PreparationKind.OneHot or PreparationKind.Labels || (spec.Columns.Count > 0 && !named))
                continue;
            if (spec is { Kind: PreparationKind.Impute, Strategy: ImputeStrategy.MostFrequent } && counts.Length > 0)
                fill ??= counts.MaxBy(pair => pair.Value).Key;
            else if (spec is { Kind: PreparationKind.Impute, Strategy: ImputeStrategy.Constant, Value: { } value })
                fill ??= Cells.Word(value);
            else if (named)
                _faults.Add(Place(step), $"column '{column.Name}' holds categories: it can be imputed (most-frequent, constant) and one-hot encoded, nothing else; take it out of data.categorical if it holds numbers");
        }
        if (counts.Length == 0)
            _faults.Add("data.categorical", $"column '{column.Name}' has no value at all in the training part; exclude it");
        var categories = counts.Select(pair => pair.Key).ToList();
        if (fill is not null && !categories.Contains(fill) && _rows.Any(row => column.Codes[row] < 0))
        {
            categories.Add(fill);
            categories.Sort(WordOrder.Instance);
        }
        return new ColumnPreparation.Category(column.Name, fill, categories);
    }

    private ArrayPreparation FitArray(ArrayFeatures array)
    {
        var values = array.Values;
        var shape = _spec.Shape.Count > 0 ? ShapeOf(array.Elements, array.Shape) : array.Shape;
        _faults.ThrowIfAny();
        var steps = _spec.Preparation.Index().Where(step => step.Item.Kind != PreparationKind.Labels).ToArray();
        foreach (var (index, step) in steps)
        {
            if (step.Kind == PreparationKind.OneHot)
                _faults.Add(Place(index), "one-hot encodes columns of a table; an array has none");
            foreach (var name in step.Columns.Where(name => name != array.Name))
                _faults.AddUnknown($"{Place(index)}.columns", "array among the features", name, _spec.Source, [array.Name]);
        }
        _faults.ThrowIfAny();

        var count = steps.Length == 0 ? 1 : ArrayPreparation.LanesOf(shape);
        var length = array.Elements / count;
        var lanes = new List<IReadOnlyList<NumberStep>>();
        for (var index = 0; index < count && !_faults.IsFull; index++)
        {
            var offset = index * length;
            var lane = new Lane(visit =>
            {
                var block = new double[length];
                foreach (var row in _rows)
                {
                    var raw = values.Span.Slice((row * array.Elements) + offset, length);
                    for (var i = 0; i < length; i++)
                        block[i] = raw[i];
                    visit(block);
                }
            });
            foreach (var (step, spec) in steps)
            {
                if (NumberStepFitter.Fit(spec, lane, $"array '{array.Name}'", Place(step), _faults) is { } fitted)
                    lane.Add(fitted);
            }
            lanes.Add(lane.Steps);
        }
        return new ArrayPreparation(array.Name, array.Shape, lanes);
    }

    private string[] Classes()
    {
        var labels = _spec.Preparation.Index().Where(step => step.Item.Kind == PreparationKind.Labels).ToArray();
        if (_frame.Target is not WordColumn target)
        {
            foreach (var (index, _) in labels)
                _faults.Add(Place(index), "labels orders the classes of a classification; this is a regression");
            return [];
        }
        var found = _rows.Select(row => target[row]!).Distinct(StringComparer.Ordinal).Order(WordOrder.Instance).ToArray();
        if (labels.Length > 1)
            _faults.Add(Place(labels[1].Index), "a second labels step; one is enough");
        var (place, step) = labels.FirstOrDefault();
        if (step is null || step.Labels.Count == 0)
            return found;

        var classes = step.Labels.Select(Cells.Word).ToArray();
        foreach (var twice in classes.GroupBy(name => name, StringComparer.Ordinal).Where(group => group.Count() > 1))
            _faults.Add($"{Place(place)}.labels", $"class '{twice.Key}' stands twice");
        foreach (var name in found.Except(classes, StringComparer.Ordinal))
            _faults.AddUnknown($"{Place(place)}.labels", "label for class", name, $"'{target.Name}'", classes);
        return classes;
    }
}
