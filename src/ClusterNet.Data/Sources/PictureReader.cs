using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using SkiaSharp;

namespace ClusterNet.Data.Sources;

/// <summary>
/// Decodes PNG and JPEG to float32 values of 0 to 255, channels first. Sixteen-bit pictures are read at eight; transparent pixels count as black; the
/// orientation that a camera notes beside the pixels is not applied.
/// </summary>
/// <param name="spec">size and channels; a size of 0 is that of the first picture</param>
internal sealed class PictureReader(ImageSpec spec)
{
    /// <summary>The most bytes a picture file may have.</summary>
    public const long MaxBytes = 64 << 20;

    /// <summary>The most pixels a picture may have.</summary>
    public const long MaxPixels = 100_000_000;

    private static readonly string[] Extensions = [".png", ".jpg", ".jpeg"];

    /// <summary>Channels, height and width of all pictures; known with the first.</summary>
    public IReadOnlyList<int> Shape { get; private set; } = [];

    /// <summary>Whether a file's name says that it is a picture of a kind that is read.</summary>
    public static bool IsPicture(string path) => Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase) && !Path.GetFileName(path).StartsWith('.');

    /// <summary>Width and height as a file's head gives them.</summary>
    /// <exception cref="InputException">no picture, or too large a one</exception>
    public static (int Width, int Height) SizeOf(byte[] bytes, string name)
    {
        using var data = SKData.CreateCopy(bytes);
        using var codec = SKCodec.Create(data);
        return codec is null ? throw Undecodable(name) : Checked(codec.Info, name);
    }

    /// <summary>Reads a picture file whole.</summary>
    public static byte[] ReadBytes(string path)
    {
        using var file = SourceFile.OpenRead(path);
        if (file.Length > MaxBytes)
            throw new InputException(path, $"a picture of {file.Length} bytes; at most {MaxBytes} are read");
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Checks the settings and gives the shape the pictures will have, from the first of them where the settings leave it open.</summary>
    public IReadOnlyList<int> Begin(byte[] first, string name)
    {
        if (spec.Channels is not (1 or 3) || spec.Height < 0 || spec.Width < 0 || (long)spec.Height * spec.Width > MaxPixels)
            throw new InputException("data.images", $"{spec.Height} x {spec.Width} pixels of {spec.Channels} channels; give sizes of 0 (as they come) or more, and 1 (grey) or 3 (colour) channels");
        var (width, height) = SizeOf(first, name);
        return Shape = [spec.Channels, spec.Height == 0 ? height : spec.Height, spec.Width == 0 ? width : spec.Width];
    }

    /// <summary>Decodes a picture.</summary>
    /// <param name="bytes">the file</param>
    /// <param name="name">how faults call it</param>
    /// <param name="values">receives the product of <see cref="Shape"/> values</param>
    /// <exception cref="InputException">it can't be decoded, is too large, or has another size than the first where none was set</exception>
    public void Decode(byte[] bytes, string name, Span<float> values)
    {
        var (height, width) = (Shape[1], Shape[2]);
        using var data = SKData.CreateCopy(bytes);
        using var codec = SKCodec.Create(data) ?? throw Undecodable(name);
        var size = Checked(codec.Info, name);
        if ((spec.Height == 0 && size.Height != height) || (spec.Width == 0 && size.Width != width))
            throw new InputException(name, $"{size.Width} x {size.Height} pixels, the first picture has {width} x {height}; set data.images.height and width to scale all of them");

        using var full = new SKBitmap(new SKImageInfo(size.Width, size.Height, SKColorType.Rgba8888, SKAlphaType.Premul));
        if (codec.GetPixels(full.Info, full.GetPixels()) != SKCodecResult.Success)
            throw Undecodable(name);
        if (size == (width, height))
        {
            Write(full.GetPixelSpan(), values, Shape[0]);
            return;
        }
        var shrinks = width < size.Width || height < size.Height;
        using var scaled = full.Resize(full.Info.WithSize(width, height), new SKSamplingOptions(SKFilterMode.Linear, shrinks ? SKMipmapMode.Linear : SKMipmapMode.None))
            ?? throw new InputException(name, $"the picture can't be scaled to {width} x {height}");
        Write(scaled.GetPixelSpan(), values, Shape[0]);
    }

    /// <summary>Grey is the luma of ITU-R BT.601; grey pictures keep their values exactly.</summary>
    private static void Write(ReadOnlySpan<byte> rgba, Span<float> values, int channels)
    {
        var pixels = rgba.Length / 4;
        for (var i = 0; i < pixels; i++)
        {
            var (red, green, blue) = (rgba[4 * i], rgba[(4 * i) + 1], rgba[(4 * i) + 2]);
            if (channels == 1)
            {
                values[i] = ((299 * red) + (587 * green) + (114 * blue)) / 1000f;
                continue;
            }
            values[i] = red;
            values[pixels + i] = green;
            values[(2 * pixels) + i] = blue;
        }
    }

    private static (int Width, int Height) Checked(SKImageInfo info, string name)
    {
        if (info.Width < 1 || info.Height < 1 || (long)info.Width * info.Height > MaxPixels)
            throw new InputException(name, $"{info.Width} x {info.Height} pixels; at most {MaxPixels} in all are decoded");
        return (info.Width, info.Height);
    }

    private static InputException Undecodable(string name) => new(name, "not a whole PNG or JPEG picture; replace it, or take it out of the folder");
}
