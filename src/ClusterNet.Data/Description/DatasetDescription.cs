namespace ClusterNet.Data.Description;

/// <summary>What is in a source of samples: one of columns, arrays and classes is filled, by its kind.</summary>
/// <param name="Source">the path or built-in name</param>
/// <param name="Kind"><c>csv</c>, <c>npz</c>, <c>npy</c> or <c>images</c></param>
/// <param name="Samples">rows, pictures, or elements along the first axis of the largest array</param>
/// <param name="Columns">CSV: in the file's order</param>
/// <param name="Arrays">NumPy: by name</param>
/// <param name="Classes">images: by name</param>
/// <param name="Sizes">images: the sizes there are, the most frequent first, at most 20</param>
public sealed record DatasetDescription(
    string Source,
    string Kind,
    long Samples,
    IReadOnlyList<ColumnDescription> Columns,
    IReadOnlyList<ArrayDescription> Arrays,
    IReadOnlyList<WordCount> Classes,
    IReadOnlyList<PictureSize> Sizes);

/// <summary>One column of a CSV file.</summary>
/// <param name="Name">its name</param>
/// <param name="Type"><c>integer</c> or <c>number</c> where every cell with a value is one, else <c>text</c>; <c>empty</c> without any value</param>
/// <param name="Missing">cells without a value</param>
/// <param name="Distinct">different values, counted up to <see cref="DatasetDescriber.MostDistinct"/></param>
/// <param name="Minimum">of numbers</param>
/// <param name="Maximum">of numbers</param>
/// <param name="Mean">of numbers</param>
/// <param name="StandardDeviation">of numbers, population</param>
/// <param name="MostFrequent">the most frequent values, at most 10; empty where there were too many different ones to count</param>
public sealed record ColumnDescription(
    string Name,
    string Type,
    long Missing,
    int Distinct,
    double? Minimum,
    double? Maximum,
    double? Mean,
    double? StandardDeviation,
    IReadOnlyList<WordCount> MostFrequent);

/// <summary>One NumPy array.</summary>
/// <param name="Name">its name; that of the file for a single array</param>
/// <param name="Type">as NumPy writes it: <c>|u1</c>, <c>&lt;f4</c>, ...</param>
/// <param name="Shape">all axes</param>
/// <param name="NotNumbers">elements that are NaN</param>
/// <param name="Minimum">of the others; null for text and empty arrays</param>
/// <param name="Maximum">likewise</param>
/// <param name="Mean">likewise</param>
public sealed record ArrayDescription(string Name, string Type, IReadOnlyList<int> Shape, long NotNumbers, double? Minimum, double? Maximum, double? Mean);

/// <summary>How often a word stands.</summary>
/// <param name="Word">a category or class</param>
/// <param name="Count">its samples</param>
public sealed record WordCount(string Word, long Count);

/// <summary>How many pictures have a size.</summary>
/// <param name="Width">pixels</param>
/// <param name="Height">pixels</param>
/// <param name="Count">pictures</param>
public sealed record PictureSize(int Width, int Height, long Count);
