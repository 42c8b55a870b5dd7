using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Requests;

/// <summary>Samples as NumPy arrays: an NPZ file, or one NPY array without targets.</summary>
internal static class NpzSamples
{
    private const string TestPrefix = "test_";

    /// <summary>All samples, with their targets where the array is there.</summary>
    public static RawSamples.Array Read(byte[] bytes, string name, RawSampleOptions options)
    {
        if (!bytes.AsSpan().StartsWith("PK"u8))
            return ReadOne(bytes, name, options);
        using var file = new NpzFile(new MemoryStream(bytes, writable: false), name, options.MaxBytes);
        var array = Find(options.FeatureArray) ?? (file.Arrays.Count == 1 ? file.Arrays[0] : null);
        if (array is null)
        {
            var faults = new FaultList();
            faults.AddUnknown(name, "array", options.FeatureArray, name, file.Arrays);
            faults.ThrowIfAny();
        }
        var features = NpzArrays.Features(file, array!, [array!]);
        CheckCount(features, name, options);
        IReadOnlyList<string> targets = [];
        if (Find(options.TargetArray) is { } target && target != array)
        {
            var words = (WordColumn)NpzArrays.Target(file, target, [target], LearningTask.Classification);
            if (words.Codes.Length != features.Count)
                throw new InputException(file.PlaceOf(target), $"{words.Codes.Length} targets for the {features.Count} samples of {array}");
            targets = [.. words.Codes.Select(code => words.Words[code])];
        }
        return new RawSamples.Array(features.Shape, features.Values, targets);

        string? Find(string wanted) => file.Arrays.Contains(wanted) ? wanted : file.Arrays.Contains(TestPrefix + wanted) ? TestPrefix + wanted : null;
    }

    private static RawSamples.Array ReadOne(byte[] bytes, string name, RawSampleOptions options)
    {
        using var stream = new MemoryStream(bytes, writable: false);
        var header = NpyHeader.Read(stream, name);
        if (header.HeadBytes + header.DataBytes != bytes.Length)
            throw new InputException(name, $"shape ({string.Join(", ", header.Shape)}) of {header.Type} needs {header.DataBytes} bytes, {bytes.Length - header.HeadBytes} are there");
        var shape = NpzArrays.SampleShape(header, name);
        var values = new float[header.Count];
        new NpyReader(stream, header, name).ReadFloats(values);
        var features = new ArrayFeatures(name, shape, values);
        CheckCount(features, name, options);
        return new RawSamples.Array(shape, values, []);
    }

    private static void CheckCount(ArrayFeatures features, string name, RawSampleOptions options)
    {
        if (features.Count == 0)
            throw new InputException(name, "no samples; there is nothing to predict");
        if (features.Count > options.MaxSamples)
            throw new InputException(name, $"{features.Count} samples; at most {options.MaxSamples} are read at once");
    }
}
