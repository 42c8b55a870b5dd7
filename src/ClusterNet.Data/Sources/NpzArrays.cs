using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;

namespace ClusterNet.Data.Sources;

/// <summary>What arrays of an NPZ file are to samples: features, targets, words. Several arrays of one role follow each other.</summary>
internal static class NpzArrays
{
    /// <summary>Features: samples along the first axis.</summary>
    /// <param name="file">the file</param>
    /// <param name="name">the name of the whole</param>
    /// <param name="arrays">the arrays in it, of equal shape but for the first axis</param>
    public static ArrayFeatures Features(NpzFile file, string name, IReadOnlyList<string> arrays)
    {
        var heads = arrays.Select(file.Head).ToArray();
        var shape = SampleShape(heads[0], file.PlaceOf(arrays[0]));
        var count = 0L;
        for (var i = 0; i < heads.Length; i++)
        {
            if (!SampleShape(heads[i], file.PlaceOf(arrays[i])).SequenceEqual(shape))
                throw new InputException(file.PlaceOf(arrays[i]), $"samples of shape [{string.Join(", ", heads[i].Shape.Skip(1))}], those of {arrays[0]} are [{string.Join(", ", shape)}]");
            count += heads[i].Count;
        }
        if (count > Array.MaxLength)
            throw new InputException(file.Name, $"{count} elements are more than one array holds");
        var values = new float[count];
        var offset = 0;
        for (var i = 0; i < heads.Length; i++)
        {
            var (start, length) = (offset, heads[i].Count);
            file.Read(arrays[i], reader =>
            {
                reader.ReadFloats(values.AsSpan(start, length));
                return true;
            });
            offset += length;
        }
        return new ArrayFeatures(name, shape, values);
    }

    /// <summary>Targets: one an element; classes as words, numbers for a regression.</summary>
    public static Column Target(NpzFile file, string name, IReadOnlyList<string> arrays, LearningTask task)
    {
        if (task == LearningTask.Classification)
        {
            var classes = Words(file, name, arrays);
            if (classes.Words.Count > MetricAccumulator.MaxClasses)
                throw new InputException(file.PlaceOf(name), $"{classes.Words.Count} different classes, at most {MetricAccumulator.MaxClasses} are learned; is this a regression (data.task)?");
            return classes;
        }
        var values = new List<float>();
        foreach (var array in arrays)
        {
            CheckVector(file, array);
            values.AddRange(file.Read(array, reader =>
            {
                var numbers = new float[reader.Header.Count];
                reader.ReadFloats(numbers);
                return numbers;
            }));
            var bad = values.FindIndex(value => !float.IsFinite(value));
            if (bad >= 0)
                throw new InputException(file.PlaceOf(array), FormattableString.Invariant($"element {bad}: {values[bad]} is not a finite number; leave the sample out"));
        }
        return new NumberColumn(name, [.. values]);
    }

    /// <summary>Words, one an element, none missing.</summary>
    public static WordColumn Words(NpzFile file, string name, IReadOnlyList<string> arrays)
    {
        var index = new WordIndex();
        var codes = new List<int>();
        foreach (var array in arrays)
        {
            CheckVector(file, array);
            var words = file.Read(array, reader => reader.ReadWords(array));
            var missing = words.Codes.AsSpan().IndexOf(-1);
            if (missing >= 0)
                throw new InputException(file.PlaceOf(array), $"element {missing} has no value; leave the sample out");
            var codeOf = words.Words.Select(word => index.CodeOf(word)).ToArray();
            codes.AddRange(words.Codes.Select(code => codeOf[code]));
        }
        return new WordColumn(name, [.. codes], index.Words);
    }

    /// <summary>Reports arrays that have not one element for each sample.</summary>
    public static void CheckCounts(NpzFile file, int samples, IEnumerable<(string Features, string Target)> pairs, string? column, FaultList faults)
    {
        foreach (var (features, target) in pairs)
        {
            var (count, targets) = (file.Head(features).Shape[0], file.Head(target).Shape[0]);
            if (count != targets)
                faults.Add(file.PlaceOf(target), $"{targets} targets for the {count} samples of {features}");
        }
        if (column is not null && file.Head(column).Shape[0] != samples)
            faults.Add(file.PlaceOf(column), $"{file.Head(column).Shape[0]} elements for {samples} samples");
        if (samples == 0)
            faults.Add(file.Name, "no samples; there is nothing to learn from");
    }

    /// <summary>The shape of one sample: all axes but the first, [1] where there is no other.</summary>
    public static int[] SampleShape(NpyHeader header, string place)
    {
        if (header.Shape.Count == 0)
            throw new InputException(place, "a single value; samples stand along the first axis of an array");
        if (header.IsText)
            throw new InputException(place, $"text ({header.Type}) where numbers belong");
        if (header.Shape.Skip(1).Contains(0))
            throw new InputException(place, $"shape ({string.Join(", ", header.Shape)}) has samples without elements");
        return header.Shape.Count == 1 ? [1] : [.. header.Shape.Skip(1)];
    }

    private static void CheckVector(NpzFile file, string array)
    {
        var shape = file.Head(array).Shape;
        if (shape.Count == 0 || (shape.Count > 1 && shape.Skip(1).Any(axis => axis != 1)))
            throw new InputException(file.PlaceOf(array), $"shape ({string.Join(", ", shape)}); one value a sample belongs here: (n) or (n, 1)");
    }
}
