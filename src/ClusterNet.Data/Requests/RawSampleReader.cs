using ClusterNet.Core.Faults;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Requests;

/// <summary>Reads samples for a prediction or an evaluation, as they come and within bounds. Targets come along where they are there.</summary>
public static class RawSampleReader
{
    /// <summary>What stands for standard input.</summary>
    public const string StandardInput = "-";

    /// <summary>Reads a file, a folder of pictures, <c>-</c> for standard input, or one of the built-in data sets (<c>builtin:wdbc</c>).</summary>
    /// <param name="path">where the samples are</param>
    /// <param name="options">how to read them; the defaults where null</param>
    /// <exception cref="InputException">nothing there, of no known form, damaged, or more than the bounds allow</exception>
    public static RawSamples Read(string path, RawSampleOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        options ??= new RawSampleOptions();
        if (path == StandardInput)
        {
            using var input = Console.OpenStandardInput();
            return Read(input, "standard input", options);
        }
        if (path.StartsWith(BuiltinSource.Prefix, StringComparison.Ordinal))
        {
            using var rows = BuiltinSource.Open(path, "");
            return CsvSamples.Read(rows, options);
        }
        if (!Path.Exists(path))
            throw SourceFile.Missing(path);
        var format = options.Format ?? FormatOf(path);
        if (format == RawSampleFormat.Images)
            return ReadPictures(path, options);
        using var file = SourceFile.OpenRead(path);
        if (file.Length > options.MaxBytes)
            throw TooLarge(path, options);
        return format == RawSampleFormat.Csv ? ReadCsv(CsvRows.Decompressed(file, path), path, options) : Read(file, path, options with { Format = format });
    }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">what comes; stays open</param>
    /// <param name="name">how faults call it</param>
    /// <param name="options">how to read it; where it has no format, the first characters tell</param>
    /// <exception cref="InputException">of no known form, damaged, or more than the bounds allow</exception>
    public static RawSamples Read(Stream stream, string name, RawSampleOptions options)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(options);
        var bytes = ReadBounded(stream, name, options);
        return (options.Format ?? FormatOf(bytes)) switch
        {
            RawSampleFormat.Json => JsonSamples.Read(bytes, name, options),
            RawSampleFormat.Npz => NpzSamples.Read(bytes, name, options),
            RawSampleFormat.Images => Picture(bytes, name, options),
            _ => ReadCsv(new MemoryStream(bytes, writable: false), name, options),
        };
    }

    private static InputException TooLarge(string name, RawSampleOptions options) =>
        new(name, $"more than {options.MaxBytes >> 20} MB, which is the most that is read at once; give it in parts");

    private static RawSamples.Table ReadCsv(Stream stream, string name, RawSampleOptions options)
    {
        using var rows = new CsvRows(stream, name, options.Csv);
        return CsvSamples.Read(rows, options);
    }

    private static byte[] ReadBounded(Stream stream, string name, RawSampleOptions options)
    {
        using var copy = new MemoryStream();
        var block = new byte[1 << 16];
        int read;
        while ((read = stream.Read(block)) > 0)
        {
            if (copy.Length + read > options.MaxBytes)
                throw TooLarge(name, options);
            copy.Write(block, 0, read);
        }
        return copy.ToArray();
    }

    private static RawSamples.Array Picture(byte[] bytes, string name, RawSampleOptions options)
    {
        var reader = new PictureReader(options.Images);
        var shape = reader.Begin(bytes, name);
        var values = new float[shape.Aggregate(1, (product, axis) => checked(product * axis))];
        reader.Decode(bytes, name, values);
        return new RawSamples.Array(shape, values, []);
    }

    private static RawSamples.Array ReadPictures(string path, RawSampleOptions options)
    {
        var faults = new FaultList();
        var files = Directory.Exists(path) ? ImageFolderSource.PicturesIn(path, faults) : [path];
        faults.ThrowIfAny();
        string[] targets = [];
        if (files.Length == 0)
        {
            var classes = ImageFolderSource.List(path);
            files = [.. classes.Select(picture => picture.Path)];
            targets = [.. classes.Select(picture => picture.Class)];
        }
        if (files.Length > options.MaxSamples)
            throw new InputException(path, $"{files.Length} pictures; at most {options.MaxSamples} are read at once");
        var (features, _) = ImageFolderSource.Decode(files, options.Images);
        return new RawSamples.Array(features.Shape, features.Values, targets);
    }

    private static RawSampleFormat FormatOf(string path)
    {
        if (Directory.Exists(path) || PictureReader.IsPicture(path))
            return RawSampleFormat.Images;
        var name = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path;
        return Path.GetExtension(name).ToUpperInvariant() switch
        {
            ".CSV" or ".TSV" or ".TXT" or ".DATA" => RawSampleFormat.Csv,
            ".JSON" => RawSampleFormat.Json,
            ".NPZ" or ".NPY" => RawSampleFormat.Npz,
            _ => throw new InputException(path, "its name does not tell its form: csv, tsv, txt, data, json, npz, npy, png, jpg and jpeg are known; rename it, or say the format"),
        };
    }

    private static RawSampleFormat FormatOf(ReadOnlySpan<byte> bytes)
    {
        if (bytes.StartsWith("PK"u8) || bytes.StartsWith((ReadOnlySpan<byte>)[0x93, (byte)'N']))
            return RawSampleFormat.Npz;
        if (bytes.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P']) || bytes.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8]))
            return RawSampleFormat.Images;
        return bytes.TrimStart(" \t\r\n\uFEFF"u8) is [(byte)'{' or (byte)'[', ..] ? RawSampleFormat.Json : RawSampleFormat.Csv;
    }
}
