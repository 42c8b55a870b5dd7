namespace ClusterNet.Core.Jobs;

/// <summary>Where samples come from and what is done to them before a model sees them.</summary>
/// <param name="Source"><c>builtin:wdbc</c>, <c>builtin:digits</c>, <c>builtin:xor</c>, or the absolute path of a file or folder</param>
/// <param name="Format">how the source is read</param>
/// <param name="Task">what is learned</param>
public sealed record DataSpec(string Source, DataFormat Format, LearningTask Task)
{
    /// <summary>CSV: the column to predict. NPZ: the array to predict. Images: unused, the folder's name is the class.</summary>
    public string Target { get; init; } = "target";

    /// <summary>CSV: columns to use, in this order; empty for all but the target, the group, the split column and <see cref="Exclude"/>.</summary>
    public IReadOnlyList<string> Features { get; init; } = [];

    /// <summary>CSV: columns to leave out.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>CSV: columns whose cells are categories, even where they look like numbers. Every other feature must be numeric.</summary>
    public IReadOnlyList<string> Categorical { get; init; } = [];

    /// <summary>NPZ: the array with the samples along its first axis (the part's name before it where the split is <see cref="SplitKind.Arrays"/>).</summary>
    public string FeatureArray { get; init; } = "X";

    /// <summary>Shape of one sample as the model sees it, without the batch axis; empty for the shape the data has. The element count must agree.</summary>
    public IReadOnlyList<int> Shape { get; init; } = [];

    /// <summary>CSV: how cells are told apart.</summary>
    public CsvSpec Csv { get; init; } = new();

    /// <summary>Images: height and width in pixels that every picture is scaled to, and channels.</summary>
    public ImageSpec Images { get; init; } = new();

    /// <summary>Training, validation and test parts.</summary>
    public SplitSpec Split { get; init; } = new(SplitKind.Stratified);

    /// <summary>Steps in their order, each fitted on the training part alone.</summary>
    public IReadOnlyList<PreparationSpec> Preparation { get; init; } = [];
}

/// <summary>How a source is read.</summary>
public enum DataFormat
{
    /// <summary>Delimited text, one sample a row.</summary>
    Csv,

    /// <summary>A zip of NumPy arrays, samples along the first axis.</summary>
    Npz,

    /// <summary>A folder with one subfolder of PNG and JPEG files for each class.</summary>
    Images,
}

/// <summary>What is learned.</summary>
public enum LearningTask
{
    /// <summary>One of two or more classes.</summary>
    Classification,

    /// <summary>A number.</summary>
    Regression,
}

/// <summary>How delimited text is read.</summary>
/// <param name="Delimiter">one character</param>
/// <param name="Header">whether the first row names the columns; otherwise they are <c>c0</c>, <c>c1</c>, ...</param>
/// <param name="Quote">the quoting character (RFC 4180)</param>
/// <param name="Missing">cells that mean "no value", after trimming</param>
public sealed record CsvSpec(char Delimiter = ',', bool Header = true, char Quote = '"', IReadOnlyList<string>? Missing = null)
{
    /// <summary>What counts as missing where the job file does not say.</summary>
    public static readonly IReadOnlyList<string> DefaultMissing = ["", "NA", "N/A", "NaN", "nan", "null", "?"];

    /// <summary><see cref="Missing"/>, or the default.</summary>
    public IReadOnlyList<string> MissingMarks => Missing ?? DefaultMissing;
}

/// <summary>What pictures become.</summary>
/// <param name="Height">pixels; 0 for that of the first picture, which the others must then have too</param>
/// <param name="Width">pixels; 0 likewise</param>
/// <param name="Channels">1 grey, 3 red-green-blue</param>
public sealed record ImageSpec(int Height = 0, int Width = 0, int Channels = 1);

/// <summary>How samples are dealt to the three parts.</summary>
/// <param name="Kind">the rule</param>
public sealed record SplitSpec(SplitKind Kind)
{
    /// <summary>Fraction of all samples in the validation part, 0 to 1 (random, stratified, group).</summary>
    public double Validation { get; init; } = 0.15;

    /// <summary>Fraction of all samples in the test part, 0 to 1 (random, stratified, group).</summary>
    public double Test { get; init; } = 0.15;

    /// <summary>Draws the split; the job's training seed where null.</summary>
    public long? Seed { get; init; }

    /// <summary>The column or array that holds the group (group) or the part's name (column).</summary>
    public string? Column { get; init; }

    /// <summary>Group: groups that make the test part, whatever <see cref="Test"/> says.</summary>
    public IReadOnlyList<string> TestGroups { get; init; } = [];

    /// <summary>Group: groups that make the validation part, whatever <see cref="Validation"/> says.</summary>
    public IReadOnlyList<string> ValidationGroups { get; init; } = [];
}

/// <summary>The rules that samples are dealt by.</summary>
public enum SplitKind
{
    /// <summary>Everything is training data.</summary>
    None,

    /// <summary>At random.</summary>
    Random,

    /// <summary>At random, with the proportions of the classes kept in each part.</summary>
    Stratified,

    /// <summary>Whole groups (patients) at random or by name: no group stands in two parts.</summary>
    Group,

    /// <summary>A column says <c>train</c>, <c>validation</c> (or <c>val</c>) or <c>test</c>.</summary>
    Column,

    /// <summary>NPZ with <c>train_</c>, <c>val_</c> and <c>test_</c> before the names of the arrays.</summary>
    Arrays,
}

/// <summary>One step of preparation.</summary>
/// <param name="Kind">what it does</param>
/// <param name="Columns">the columns it concerns; empty for all that it can be applied to</param>
public sealed record PreparationSpec(PreparationKind Kind, IReadOnlyList<string> Columns)
{
    /// <summary>Impute: the statistic or constant.</summary>
    public ImputeStrategy Strategy { get; init; } = ImputeStrategy.Mean;

    /// <summary>Impute with a constant: that value as text. Scale by a constant (image scaling): the divisor, e.g. 255.</summary>
    public string? Value { get; init; }

    /// <summary>Min-max scaling: where the training minimum and maximum go.</summary>
    public (double Low, double High) Range { get; init; } = (0, 1);

    /// <summary>Label mapping: the classes in the order of their indices; empty to take those found in training, sorted.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];
}

/// <summary>The steps there are.</summary>
public enum PreparationKind
{
    /// <summary>Fills missing values.</summary>
    Impute,

    /// <summary>Subtracts the mean, divides by the standard deviation (population; 1 where it is 0).</summary>
    Standardize,

    /// <summary>Maps the training minimum and maximum to a range.</summary>
    MinMax,

    /// <summary>One column of 0 and 1 for each category seen in training; an unknown one is all zeros.</summary>
    OneHot,

    /// <summary>Fixes which class has which index.</summary>
    Labels,

    /// <summary>Divides by a constant: 255 for 8-bit pictures.</summary>
    Scale,
}

/// <summary>What a missing value becomes.</summary>
public enum ImputeStrategy
{
    /// <summary>The mean of the training part.</summary>
    Mean,

    /// <summary>Its median.</summary>
    Median,

    /// <summary>Its most frequent value; the smallest of several.</summary>
    MostFrequent,

    /// <summary>A given value.</summary>
    Constant,
}
