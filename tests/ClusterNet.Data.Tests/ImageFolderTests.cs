using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Requests;
using SkiaSharp;

namespace ClusterNet.Data.Tests;

/// <summary>A folder of pictures becomes an array, channels first, in the order of the paths; a file that is no picture is named.</summary>
public sealed class ImageFolderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    internal static byte[] Encode(int width, int height, Func<int, int, SKColor> color, SKEncodedImageFormat format = SKEncodedImageFormat.Png)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                bitmap.SetPixel(x, y, color(x, y));
        }
        using var data = bitmap.Encode(format, 95);
        return data.ToArray();
    }

    private DataSpec Spec(ImageSpec images) => new(_folder.Path, DataFormat.Images, LearningTask.Classification) { Images = images, Split = Specs.NoSplit };

    private void TwoClasses(int width = 3, int height = 2)
    {
        _folder.Write("dark/b.png", Encode(width, height, (x, y) => new SKColor(10, 10, (byte)(10 + x + y))));
        _folder.Write("dark/a.PNG", Encode(width, height, (_, _) => new SKColor(20, 20, 20)));
        _folder.Write("light/z.jpg", Encode(width, height, (_, _) => new SKColor(200, 200, 200), SKEncodedImageFormat.Jpeg));
        _folder.Write("light/.hidden.png", "no picture");
        _folder.Write("light/notes.txt", "no picture");
    }

    [Fact]
    public void Grey_pictures_are_one_channel_of_their_values()
    {
        TwoClasses();
        var data = DataPipeline.Load(Spec(new ImageSpec()), 1);
        Assert.Equal([1, 2, 3], data.Training.Shape);
        Assert.Equal(["dark", "light"], data.Preparation.Signature.Classes);
        Assert.Equal([0, 0, 1], data.Training.Labels.ToArray());
        Assert.All(data.Training[0].ToArray(), value => Assert.Equal(20, value));
        Assert.All(data.Training[2].ToArray(), value => Assert.InRange(value, 198, 202));
    }

    [Fact]
    public void Colour_pictures_are_three_channels_one_after_the_other()
    {
        TwoClasses();
        var data = DataPipeline.Load(Spec(new ImageSpec(0, 0, 3)), 1);
        Assert.Equal([3, 2, 3], data.Training.Shape);
        Assert.Equal([10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 11, 12, 11, 12, 13], data.Training[1].ToArray());
    }

    [Fact]
    public void Pictures_are_scaled_to_the_size_of_the_job()
    {
        TwoClasses(40, 20);
        _folder.Write("light/larger.png", Encode(80, 50, (_, _) => new SKColor(100, 100, 100)));
        var data = DataPipeline.Load(Spec(new ImageSpec(10, 10)), 1);
        Assert.Equal([1, 10, 10], data.Training.Shape);
        Assert.All(data.Training[2].ToArray(), value => Assert.Equal(100, value));
    }

    [Fact]
    public void Pictures_of_two_sizes_need_a_size_in_the_job()
    {
        TwoClasses();
        var path = _folder.Write("light/larger.png", Encode(8, 5, (_, _) => SKColors.White));
        var fault = Specs.SingleFault(Spec(new ImageSpec()));
        Assert.Equal(path, fault.Place);
        Assert.Contains("data.images.height", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void There_are_no_more_classes_than_metrics_tell_apart()
    {
        for (var folder = 0; folder <= 1024; folder++)
            _folder.Write($"c{folder}/a.png", "never opened");
        Assert.Contains("1025 classes, at most 1024 are learned", Specs.SingleFault(Spec(new ImageSpec())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_picture_is_named()
    {
        TwoClasses();
        var path = _folder.Write("light/broken.png", "no picture");
        Assert.Equal(path, Specs.SingleFault(Spec(new ImageSpec())).Place);
        var whole = Encode(64, 64, (x, y) => new SKColor((byte)(x * y), (byte)(x + y), (byte)x));
        _folder.Write("light/broken.png", whole[..(whole.Length / 2)]);
        Assert.Equal(path, Specs.SingleFault(Spec(new ImageSpec(2, 3))).Place);
    }

    [Theory]
    [InlineData("light/scan.DCM", "light/scan.DCM", "neither PNG nor JPEG")]
    [InlineData("light/slide.tif", "light/slide.tif", "neither PNG nor JPEG")]
    [InlineData("light/patient-7/c.png", "light/patient-7", "move them up")]
    [InlineData("light/patient-7/left/c.jpeg", "light/patient-7", "move them up")]
    [InlineData("c.png", "c.png", "in no class's folder")]
    public void No_picture_is_left_out_without_a_word(string file, string place, string what)
    {
        TwoClasses();
        _folder.Write(file, Encode(3, 2, (_, _) => SKColors.White));
        var fault = Specs.SingleFault(Spec(new ImageSpec()));
        Assert.Equal(_folder[place], fault.Place);
        Assert.Contains(what, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_of_a_folder_is_refused_where_one_of_its_pictures_would_not_be_read()
    {
        TwoClasses();
        var options = RawSampleOptions.For(DataPipeline.Load(Spec(new ImageSpec()), 1).Preparation.Signature);
        var path = _folder.Write("dark/scan.dcm", "DICM");
        Assert.Equal(path, Assert.Throws<InputException>(() => RawSampleReader.Read(_folder["dark"], options)).Faults.Single().Place);
        File.Delete(path);
        _folder.Write("dark/patient-7/c.png", Encode(3, 2, (_, _) => SKColors.White));
        Assert.Equal(_folder["dark/patient-7"], Assert.Throws<InputException>(() => RawSampleReader.Read(_folder["dark"], options)).Faults.Single().Place);
    }

    [Fact]
    public void A_folder_without_classes_or_pictures_is_refused()
    {
        Assert.Contains("one for each class", Specs.SingleFault(Spec(new ImageSpec())).Message, StringComparison.Ordinal);
        TwoClasses();
        Directory.CreateDirectory(_folder["empty"]);
        Assert.Equal(_folder["empty"], Specs.SingleFault(Spec(new ImageSpec())).Place);
    }

    [Fact]
    public void Requests_are_one_picture_a_folder_of_them_or_a_folder_of_classes()
    {
        TwoClasses();
        var data = DataPipeline.Load(Spec(new ImageSpec()), 1);
        var options = RawSampleOptions.For(data.Preparation.Signature);
        var one = data.Preparation.Prepare(RawSampleReader.Read(_folder["dark/b.png"], options), withTargets: false);
        Assert.Equal(data.Training[1].ToArray(), one.Features.ToArray());
        Assert.Equal(2, RawSampleReader.Read(_folder["dark"], options).Count);
        var all = data.Preparation.Prepare(RawSampleReader.Read(_folder.Path, options), withTargets: true);
        Assert.Equal(data.Training.Features.ToArray(), all.Features.ToArray());
        Assert.Equal(data.Training.Labels.ToArray(), all.Labels.ToArray());
    }
}
