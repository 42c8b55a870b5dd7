using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;

namespace ClusterNet.Data.Sources;

/// <summary>Reads a folder with one subfolder of PNG and JPEG files for each class, in the order of their paths.</summary>
internal static class ImageFolderSource
{
    /// <summary>The name of the pictures' array.</summary>
    public const string ArrayName = "image";

    /// <summary>Kinds of pictures that are not read: none may be left out without a word.</summary>
    private static readonly string[] _otherPictures = [".dcm", ".dicom", ".nii", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".heic"];

    /// <summary>All pictures of all classes.</summary>
    /// <exception cref="InputException">no such folders, or a file that is no picture</exception>
    public static Frame Read(DataSpec spec)
    {
        if (spec.Task != LearningTask.Classification)
            throw new InputException("data.task", "a folder of pictures has a class for each picture, no number to regress on");
        if (spec.Split.Kind is SplitKind.Group or SplitKind.Column or SplitKind.Arrays)
            throw new InputException("data.split.kind", "pictures in folders can be split at random or stratified; they have no groups, columns or arrays");
        var pictures = List(spec.Source);
        var (features, places) = Decode([.. pictures.Select(picture => picture.Path)], spec.Images);
        var index = new WordIndex();
        return new Frame(features, new WordColumn(spec.Target, [.. pictures.Select(picture => index.CodeOf(picture.Class))], index.Words), null, null, places);
    }

    /// <summary>The pictures of a folder of classes, in the order of their paths.</summary>
    public static IReadOnlyList<(string Class, string Path)> List(string folder)
    {
        if (!Directory.Exists(folder))
            throw File.Exists(folder) ? new InputException(folder, "a file stands where a folder with one subfolder of pictures for each class belongs") : SourceFile.Missing(folder);
        var faults = new FaultList();
        var pictures = new List<(string, string)>();
        foreach (var subfolder in Directory.GetDirectories(folder).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal))
        {
            var files = PicturesIn(subfolder, faults);
            if (files.Length == 0)
                faults.Add(subfolder, "no PNG or JPEG file in this class's folder, where folders of it are not read; fill it, or take it away");
            pictures.AddRange(files.Select(file => (Cells.Word(Path.GetFileName(subfolder)), file)));
        }
        if (pictures.Count > 0 && Directory.GetFiles(folder).FirstOrDefault(PictureReader.IsPicture) is { } astray)
            faults.Add(astray, "the picture is in no class's folder; move it into one, or take it out");
        if (pictures.Select(picture => picture.Item1).Distinct(StringComparer.Ordinal).Count() is > MetricAccumulator.MaxClasses and var classes)
            faults.Add(folder, $"{classes} classes, at most {MetricAccumulator.MaxClasses} are learned; bring rare ones together in one folder");
        if (pictures.Count == 0)
            faults.Add(folder, "no subfolder with PNG or JPEG files; make one for each class");
        faults.ThrowIfAny();
        return pictures;
    }

    /// <summary>The pictures directly in a folder, in the order of their paths.</summary>
    /// <param name="folder">which</param>
    /// <param name="faults">receives pictures that would be left out: of kinds that are not read, or in folders deeper down</param>
    public static string[] PicturesIn(string folder, FaultList faults)
    {
        string[] files = [.. Directory.GetFiles(folder).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal)];
        foreach (var other in files.Where(path => _otherPictures.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)))
            faults.Add(other, "neither PNG nor JPEG; convert it, or take it out of the folder");
        string[] pictures = [.. files.Where(PictureReader.IsPicture)];
        if (pictures.Length > 0 && Directory.GetDirectories(folder).Where(HasPictures).Order(StringComparer.Ordinal).FirstOrDefault() is { } deeper)
            faults.Add(deeper, "pictures in a folder beside pictures are not read; move them up, or take the folder out");
        return pictures;
    }

    private static bool HasPictures(string folder) =>
        Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 16 }).Any(PictureReader.IsPicture);

    /// <summary>Decodes pictures into one array.</summary>
    public static (ArrayFeatures Features, SamplePlaces Places) Decode(IReadOnlyList<string> paths, ImageSpec spec)
    {
        var reader = new PictureReader(spec);
        var first = PictureReader.ReadBytes(paths[0]);
        var shape = reader.Begin(first, paths[0]);
        var elements = shape.Aggregate(1, (product, axis) => checked(product * axis));
        if ((long)elements * paths.Count > Array.MaxLength)
            throw new InputException("data.images", $"{paths.Count} pictures of {elements} values are more than one array holds; set data.images.height and width to smaller ones");
        var values = new float[elements * paths.Count];
        var faults = new FaultList();
        for (var i = 0; i < paths.Count && !faults.IsFull; i++)
        {
            try
            {
                reader.Decode(i == 0 ? first : PictureReader.ReadBytes(paths[i]), paths[i], values.AsSpan(i * elements, elements));
            }
            catch (InputException exception)
            {
                foreach (var fault in exception.Faults)
                    faults.Add(fault);
            }
        }
        faults.ThrowIfAny();
        return (new ArrayFeatures(ArrayName, shape, values), new SamplePlaces.Files(paths));
    }
}
