using System.Globalization;
using System.IO.Compression;
using System.Text;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Description;
using ClusterNet.Data.Preparation;
using ClusterNet.Data.Requests;
using CsCheck;
using SkiaSharp;

namespace ClusterNet.Data.Tests;

/// <summary>Whatever is in a file, it is data or it is refused with a message that names it: by who predicts, by who describes and by who trains with it.</summary>
[Trait("Category", "Fuzz")]
public sealed class HostileFilesTests : IDisposable
{
    // as for the gateway's: a few in every run, as many as the variable says in a long one
    private static readonly long _inputs = long.TryParse(Environment.GetEnvironmentVariable("CLUSTERNET_TEST_FUZZ"), CultureInfo.InvariantCulture, out var inputs) ? inputs : 20_000;

    private static readonly byte[][] _tokens =
    [
        .. ((string[])
        [
            "\"", "\"\"", ",", ";", "\t", "\r", "\n", "\r\n", "NaN", "inf", "-", "1e999", "-0", "0x10", "NA", "{", "}", "[", "[[", "null", "true", ":", "\"y\":", "\\ud800", "\\u0000", "\uFEFF", "\u2028",
            "18446744073709551616", "2147483647", "(", ")", "'descr': '<f8'", "'descr': '|O'", "'fortran_order': True", "(0, 4)", "(2147483647,)", "(-1,)", "<U1", "<i8", ".npy", "PK\u0003\u0004", "PK\u0005\u0006",
        ]).Select(Encoding.UTF8.GetBytes),
        [0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0xC0, 0x80], [0x00], [0x00, 0x00, 0x00, 0x00], [0xFE, 0xFF], [0x1F, 0x8B],
    ];

    private static readonly (string Name, byte[] Bytes)[] _files =
    [
        ("a.csv", "x1,x2,y\n1,2.5,a\n-3,,b\n\"4\",5e3,a\n0,1,b\n"u8.ToArray()),
        ("b.csv", Encoding.UTF8.GetBytes("x;\"y\";\"gr;oup\"\n1;\"a\n\"\"b\"\"\";1\n?;c;2\n")),
        ("c.csv.gz", Zipped("x1,x2,y\n1,2.5,a\n-3,,b\n4,5e3,a\n0,1,b\n")),
        ("d.json", """{"samples":[{"x1":1,"x2":null,"y":"a"},{"x1":"2","x2":3.5e2,"y":"b"}]}"""u8.ToArray()),
        ("e.json", """[[[1,2],[3,4]],[[5,6],[7,8]]]"""u8.ToArray()),
        ("f.json", """{"samples":[[1,2],[3,4]],"targets":["a","b"]}"""u8.ToArray()),
        ("g.npz", NumpyFiles.Npz(("X", NumpyFiles.Npy("<f4", "(4, 2)", [1f, 2, 3, 4, 5, 6, 7, 8])), ("y", NumpyFiles.Text(3, "a", "bcd", "a", "bcd")))),
        ("h.npz", NumpyFiles.Npz(("X", NumpyFiles.Npy("|u1", "(2, 1, 2, 2)", [1, 2, 3, 4, 5, 6, 7, (byte)8])), ("y", NumpyFiles.Npy("<i8", "(2,)", [0L, 1])))),
        ("i.npy", NumpyFiles.Npy("<f8", "(2, 3)", [1.0, 2, 3, 4, 5, double.NaN])),
        ("j.png", Picture(SKEncodedImageFormat.Png)),
        ("k.jpg", Picture(SKEncodedImageFormat.Jpeg)),
    ];

    private static readonly Gen<(int Kind, int Position, byte Value, int Token)[]> _changes =
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 8191], Gen.Byte, Gen.Int[0, _tokens.Length - 1]).Array[0, 6];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_to_predict_is_read_and_prepared_or_refused()
    {
        FittedPreparation Fit(string name) => DataPipeline.Load(
            new DataSpec(_folder.Write(name, _files.Single(file => file.Name == name).Bytes), name.EndsWith('v') ? DataFormat.Csv : DataFormat.Npz, LearningTask.Classification)
            {
                Split = Specs.NoSplit,
                Target = "y",
                Preparation = name.EndsWith('v') ? [Specs.Step(PreparationKind.Impute), Specs.Step(PreparationKind.Standardize)] : [],
            },
            1).Preparation;
        FittedPreparation[] fitted = [Fit("a.csv"), Fit("g.npz")];
        Changed().Sample(
            (which, bytes) =>
            {
                using var stream = new MemoryStream(bytes);
                RawSamples? raw = null;
                Accept(() => raw = RawSampleReader.Read(stream, "input", new RawSampleOptions { MaxBytes = 1 << 20, MaxSamples = 1000, Images = new ImageSpec(4, 4, 3) }));
                foreach (var preparation in raw is null ? [] : fitted)
                {
                    foreach (var withTargets in new[] { false, true })
                        Accept(() => Assert.True(preparation.Prepare(raw!, withTargets).Features.Span.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue) < 0, "a feature is not finite"));
                }
            },
            iter: _inputs,
            print: Print);
    }

    [Fact]
    public void A_file_to_train_with_is_read_or_refused() => Changed().Sample(
        (which, bytes) =>
        {
            var folder = Path.Combine(_folder.Path, Environment.CurrentManagedThreadId.ToString(CultureInfo.InvariantCulture));
            var name = _files[which].Name;
            var isPicture = name.EndsWith('g');
            var path = Path.Combine(folder, isPicture ? "pictures/a" : "", name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, bytes);
            if (isPicture)
            {
                Directory.CreateDirectory(Path.Combine(folder, "pictures/b"));
                File.WriteAllBytes(Path.Combine(folder, "pictures/b", name), _files[which].Bytes);
            }
            var source = isPicture ? Path.Combine(folder, "pictures") : path;
            Accept(() => DatasetDescriber.Describe(source));
            var format = isPicture ? DataFormat.Images : name.Contains(".csv", StringComparison.Ordinal) ? DataFormat.Csv : DataFormat.Npz;
            Accept(() => DataPipeline.Load(new DataSpec(source, format, LearningTask.Classification) { Split = Specs.NoSplit, Target = isPicture ? "" : "y", Images = new ImageSpec(4, 4, 1) }, 1));
            File.Delete(path);
        },
        iter: _inputs / 10,
        print: Print);

    private static void Accept(Action read)
    {
        try
        {
            read();
        }
        catch (InputException refused)
        {
            Assert.NotEmpty(refused.Faults);
            Assert.All(refused.Faults, fault => Assert.NotEqual("", fault.Message));
        }
    }

    private static string Print((int Which, byte[] Bytes) sample) => $"{_files[sample.Which].Name}: {Convert.ToBase64String(sample.Bytes)} {Encoding.Latin1.GetString(sample.Bytes)}";

    /// <summary>A file with a few changes: bits, cuts, repetitions and tokens in the wrong place.</summary>
    private static Gen<(int Which, byte[] Bytes)> Changed() => Gen.Select(Gen.Int[0, _files.Length - 1], _changes, (which, changes) =>
    {
        var bytes = _files[which].Bytes.ToList();
        foreach (var (kind, position, value, token) in changes)
        {
            if (bytes.Count == 0)
                break;
            var at = position % bytes.Count;
            switch (kind)
            {
                case 0:
                    bytes[at] = value;
                    break;
                case 1:
                    bytes.InsertRange(at, _tokens[token]);
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(value % 16, bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(value % 64, bytes.Count - at)));
                    break;
                case 4 when value < 32:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    // lengths in heads stay where they are
                    for (var i = 0; i < _tokens[token].Length && at + i < bytes.Count; i++)
                        bytes[at + i] = _tokens[token][i];
                    break;
            }
        }
        return (which, bytes.ToArray());
    });

    private static byte[] Zipped(string text)
    {
        using var stream = new MemoryStream();
        using (var zip = new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true))
            zip.Write(Encoding.UTF8.GetBytes(text));
        return stream.ToArray();
    }

    private static byte[] Picture(SKEncodedImageFormat format) => ImageFolderTests.Encode(6, 5, (x, y) => x == y ? SKColors.Navy : SKColors.Coral, format);
}
