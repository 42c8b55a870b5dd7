using System.IO.Compression;
using System.Text;

namespace ClusterNet.Benchmarks.Local;

/// <summary>Grey pictures of ten classes: each class a pattern of its own, each picture its pattern with noise. The same in every run.</summary>
internal sealed class SyntheticImages
{
    public const int Count = 12_800;
    public const int Side = 28;
    public const int Classes = 10;

    private SyntheticImages(byte[] pixels, byte[] labels)
    {
        Pixels = pixels;
        Labels = labels;
    }

    /// <summary>[count, side, side]</summary>
    public byte[] Pixels { get; }

    /// <summary>[count]</summary>
    public byte[] Labels { get; }

    public static SyntheticImages Draw()
    {
        const int Area = Side * Side;
#pragma warning disable CA5394 // pictures, not secrets
        var random = new Random(1);
        var patterns = new byte[Classes * Area];
        random.NextBytes(patterns);
        var pixels = new byte[Count * Area];
        random.NextBytes(pixels);
#pragma warning restore CA5394
        var labels = new byte[Count];
        for (var i = 0; i < Count; i++)
        {
            labels[i] = (byte)(i % Classes);
            var pattern = patterns.AsSpan(labels[i] * Area, Area);
            var picture = pixels.AsSpan(i * Area, Area);
            for (var j = 0; j < Area; j++)
                picture[j] = (byte)((pattern[j] + 3 * picture[j]) / 4);
        }
        return new SyntheticImages(pixels, labels);
    }

    /// <summary>Writes an NPZ file with the arrays <c>X</c> and <c>y</c>.</summary>
    public void WriteNpz(string path)
    {
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        Write(zip, "X.npy", $"({Count}, {Side}, {Side})", Pixels);
        Write(zip, "y.npy", $"({Count},)", Labels);
    }

    // the format's version 1.0: magic, version, length of the header, header padded to a multiple of 64 bytes
    private static void Write(ZipArchive zip, string name, string shape, byte[] values)
    {
        const int Before = 10;
        var header = $"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}";
        var length = (Before + header.Length + 1 + 63) / 64 * 64 - Before;
        using var entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open();
        entry.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)length, (byte)(length >> 8)]);
        entry.Write(Encoding.ASCII.GetBytes(header.PadRight(length - 1) + "\n"));
        entry.Write(values);
    }
}
