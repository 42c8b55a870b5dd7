using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Description;

/// <summary>Looks through a source of samples, in memory that does not grow with it.</summary>
public static class DatasetDescriber
{
    /// <summary>Different values of a column are counted up to this.</summary>
    public const int MostDistinct = 1000;

    private const int MostShown = 10;
    private const int MostSizes = 20;

    /// <summary>Describes a CSV, NPZ or NPY file, a folder of pictures, or a built-in data set.</summary>
    /// <param name="path">where it is</param>
    /// <param name="csv">how delimited text is read; the defaults where null</param>
    /// <exception cref="InputException">nothing is there, or it is damaged</exception>
    public static DatasetDescription Describe(string path, CsvSpec? csv = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path.StartsWith(BuiltinSource.Prefix, StringComparison.Ordinal))
        {
            using var builtin = BuiltinSource.Open(path, "");
            return Table(builtin);
        }
        if (!Path.Exists(path))
            throw SourceFile.Missing(path);
        if (Directory.Exists(path))
            return Pictures(path);
        switch (Path.GetExtension(path).ToUpperInvariant())
        {
            case ".NPZ":
                using (var file = NpzFile.Open(path))
                    return Numpy(path, "npz", [.. file.Arrays.Select(array => file.Read(array, reader => Array(array, reader)))]);
            case ".NPY":
                using (var stream = SourceFile.OpenRead(path))
                    return Numpy(path, "npy", [Array(Path.GetFileNameWithoutExtension(path), new NpyReader(stream, NpyHeader.Read(stream, path), path))]);
            default:
                using (var rows = CsvRows.Open(path, csv ?? new CsvSpec()))
                    return Table(rows, csv);
        }
    }

    private static DatasetDescription Table(CsvRows rows, CsvSpec? csv = null)
    {
        var faults = new FaultList();
        var cells = new Cells(csv ?? new CsvSpec());
        var columns = rows.Columns.Select(_ => new ColumnTally()).ToArray();
        var count = 0L;
        while (!faults.IsFull && rows.Read())
        {
            if (!rows.CheckLength(faults))
                continue;
            count++;
            for (var i = 0; i < columns.Length; i++)
            {
                var cell = rows.Cell(i);
                if (cells.IsMissing(cell))
                    columns[i].AddMissing();
                else
                    columns[i].Add(cell);
            }
        }
        faults.ThrowIfAny();
        return new DatasetDescription(rows.Name, "csv", count, [.. columns.Select((column, index) => column.Describe(rows.Columns[index], MostShown))], [], [], []);
    }

    private static DatasetDescription Numpy(string path, string kind, IReadOnlyList<ArrayDescription> arrays)
    {
        var largest = arrays.MaxBy(array => array.Shape.Aggregate(1L, (product, axis) => product * axis));
        return new DatasetDescription(path, kind, largest is { Shape: [var samples, ..] } ? samples : 0, [], arrays, [], []);
    }

    private static ArrayDescription Array(string name, NpyReader reader)
    {
        var header = reader.Header;
        if (header.IsText || header.Count == 0)
            return new ArrayDescription(name, header.Type, header.Shape, 0, null, null, null);
        var (count, notNumbers, sum) = (0L, 0L, 0.0);
        var (least, most) = (double.PositiveInfinity, double.NegativeInfinity);
        reader.VisitNumbers(numbers =>
        {
            foreach (var number in numbers)
            {
                if (double.IsNaN(number))
                {
                    notNumbers++;
                    continue;
                }
                count++;
                sum += number;
                least = Math.Min(least, number);
                most = Math.Max(most, number);
            }
        });
        return new ArrayDescription(name, header.Type, header.Shape, notNumbers, Finite(least), Finite(most), Finite(sum / count));
    }

    /// <summary>JSON has no infinities.</summary>
    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static DatasetDescription Pictures(string path)
    {
        var pictures = ImageFolderSource.List(path);
        var sizes = pictures.Select(picture => PictureReader.SizeOf(PictureReader.ReadBytes(picture.Path), picture.Path))
            .CountBy(size => size)
            .OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key.Width).ThenBy(pair => pair.Key.Height).Take(MostSizes);
        return new DatasetDescription(
            path,
            "images",
            pictures.Count,
            [],
            [],
            [.. pictures.CountBy(picture => picture.Class, StringComparer.Ordinal).Select(pair => new WordCount(pair.Key, pair.Value))],
            [.. sizes.Select(pair => new PictureSize(pair.Key.Width, pair.Key.Height, pair.Value))]);
    }
}
