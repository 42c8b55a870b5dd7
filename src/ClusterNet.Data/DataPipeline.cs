using System.Runtime.InteropServices;
using System.Security.Cryptography;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Preparation;
using ClusterNet.Data.Sources;
using ClusterNet.Data.Splits;

namespace ClusterNet.Data;

/// <summary>
/// From a job's data section to prepared samples: read, split, fit on the training part, prepare all parts. The same section, seed and source give the same bits.
/// </summary>
public static class DataPipeline
{
    /// <summary>Whether a source comes with ClusterNet and is no file.</summary>
    public static bool IsBuiltin(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return source.StartsWith(BuiltinSource.Prefix, StringComparison.Ordinal);
    }

    /// <summary>Reads, splits, fits the preparation on the training part alone, and prepares all parts with it.</summary>
    /// <param name="spec">the data section</param>
    /// <param name="seed">the job's seed: deals the split where <see cref="SplitSpec.Seed"/> is null</param>
    /// <exception cref="InputException">the source or the section can't be used; nothing was done</exception>
    public static PreparedData Load(DataSpec spec, long seed)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var frame = Source.Read(spec);
        var split = Splitter.Deal(frame, spec, seed);
        return Prepare(frame, split, PreparationFitter.Fit(frame, split.Training, spec));
    }

    /// <summary>The same reading and split, with a preparation that was fitted before: what a worker or a resumed job does.</summary>
    /// <param name="spec">the data section</param>
    /// <param name="seed">the job's seed</param>
    /// <param name="fitted">what <see cref="Load(DataSpec, long)"/> fitted</param>
    /// <exception cref="InputException">the source or the section can't be used, or is not what it was when the preparation was fitted</exception>
    public static PreparedData Load(DataSpec spec, long seed, FittedPreparation fitted)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentNullException.ThrowIfNull(fitted);
        var frame = Source.Read(spec);
        fitted.CheckFits(frame, spec);
        return Prepare(frame, Splitter.Deal(frame, spec, seed), fitted);
    }

    private static PreparedData Prepare(Frame frame, Split split, FittedPreparation fitted)
    {
        var training = fitted.Prepare(frame, split.Training, withTargets: true);
        var validation = fitted.Prepare(frame, split.Validation, withTargets: true);
        var test = fitted.Prepare(frame, split.Test, withTargets: true);
        return new PreparedData(training, validation, test, fitted, Fingerprint(training, validation, test));
    }

    private static string Fingerprint(params ReadOnlySpan<SampleSet> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in parts)
        {
            int[] header = [part.Count, part.Shape.Count, .. part.Shape, part.Labels.Length, part.Values.Length];
            Append(hash, header.AsSpan());
            Append(hash, part.Ids.Span);
            Append(hash, part.Features.Span);
            Append(hash, part.Labels.Span);
            Append(hash, part.Values.Span);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        // a span of more than 2 GB of bytes can't be reinterpreted in one piece
        const int Block = 1 << 20;
        for (; values.Length > Block; values = values[Block..])
            hash.AppendData(MemoryMarshal.AsBytes(values[..Block]));
        hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
