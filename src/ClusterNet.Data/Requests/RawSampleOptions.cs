using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Requests;

/// <summary>The forms that samples for a prediction or an evaluation come in.</summary>
public enum RawSampleFormat
{
    /// <summary>Delimited text, one sample a row.</summary>
    Csv,

    /// <summary>Objects with the features by name, or (nested) arrays of numbers.</summary>
    Json,

    /// <summary>NumPy arrays: a zip of them, or one alone.</summary>
    Npz,

    /// <summary>A PNG or JPEG file, a folder of them, or a folder with one subfolder for each class.</summary>
    Images,
}

/// <summary>How samples are read, and how many.</summary>
public sealed record RawSampleOptions
{
    /// <summary>The form; by the name's extension, or for standard input by its first characters, where null.</summary>
    public RawSampleFormat? Format { get; init; }

    /// <summary>How cells are told apart and which of them mean "no value".</summary>
    public CsvSpec Csv { get; init; } = new();

    /// <summary>NPZ: the array with the features. <c>test_</c> before the name is tried too, and the only array of a file is always it.</summary>
    public string FeatureArray { get; init; } = "X";

    /// <summary>NPZ: the array with the targets, where it is there; <c>test_</c> before the name is tried too.</summary>
    public string TargetArray { get; init; } = "target";

    /// <summary>Size and channels that pictures are brought to.</summary>
    public ImageSpec Images { get; init; } = new();

    /// <summary>The most bytes that are read.</summary>
    public long MaxBytes { get; init; } = 256 << 20;

    /// <summary>The most samples that are read.</summary>
    public int MaxSamples { get; init; } = 1_000_000;

    /// <summary>What the samples of a model are called and shaped like.</summary>
    /// <param name="signature">of the model</param>
    /// <param name="spec">the data section it was trained with, where it is at hand: for the delimiter and the marks of missing values</param>
    public static RawSampleOptions For(DataSignature signature, DataSpec? spec = null)
    {
        ArgumentNullException.ThrowIfNull(signature);
        var shape = signature.Shape;
        return new RawSampleOptions
        {
            Csv = spec?.Csv ?? new CsvSpec(),
            FeatureArray = signature.InputNames.Count == 1 ? signature.InputNames[0] : spec?.FeatureArray ?? "X",
            TargetArray = signature.TargetName,
            Images = shape is [var channels and (1 or 3), var height, var width] ? new ImageSpec(height, width, channels) : new ImageSpec(),
        };
    }
}
