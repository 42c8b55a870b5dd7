namespace ClusterNet.Data.Sources;

/// <summary>A source, or a request, in memory: typed but not prepared.</summary>
/// <param name="Features">what a model may see</param>
/// <param name="Target">what it learns, where the source has it: words for classes, numbers for regression</param>
/// <param name="Groups">the group of each sample, for a split by group</param>
/// <param name="Parts">the part of each sample, for a split by column or by arrays</param>
/// <param name="Places">where each sample stands</param>
internal sealed record Frame(FeatureBlock Features, Column? Target, WordColumn? Groups, WordColumn? Parts, SamplePlaces Places)
{
    /// <summary>Number of samples.</summary>
    public int Count => Features.Count;
}

/// <summary>The features of all samples.</summary>
internal abstract record FeatureBlock
{
    /// <summary>Number of samples.</summary>
    public abstract int Count { get; }
}

/// <summary>Named columns.</summary>
internal sealed record TableFeatures(IReadOnlyList<Column> Columns, int Rows) : FeatureBlock
{
    /// <inheritdoc/>
    public override int Count => Rows;
}

/// <summary>A dense array, samples along its first axis.</summary>
/// <param name="Name">the array's name</param>
/// <param name="Shape">of one sample</param>
/// <param name="Values">row-major</param>
internal sealed record ArrayFeatures(string Name, IReadOnlyList<int> Shape, ReadOnlyMemory<float> Values) : FeatureBlock
{
    /// <summary>Elements of one sample.</summary>
    public int Elements { get; } = Shape.Aggregate(1, (product, axis) => checked(product * axis));

    /// <inheritdoc/>
    public override int Count => Elements == 0 ? 0 : Values.Length / Elements;
}

/// <summary>Says where a sample stands in what the user gave.</summary>
internal abstract record SamplePlaces
{
    /// <summary>The place of sample <paramref name="index"/>.</summary>
    public abstract string this[int index] { get; }

    /// <summary>Rows of a file.</summary>
    public sealed record Lines(string File, int[] Numbers) : SamplePlaces
    {
        /// <inheritdoc/>
        public override string this[int index] => $"{File}:{Numbers[index]}";
    }

    /// <summary>Entries of an array or a request, 0-based like the ids of samples.</summary>
    public sealed record Entries(string Name) : SamplePlaces
    {
        /// <inheritdoc/>
        public override string this[int index] => $"{Name}[{index}]";
    }

    /// <summary>Entries of several arrays, one after the other.</summary>
    public sealed record Runs(IReadOnlyList<(string Name, int Start)> Arrays) : SamplePlaces
    {
        /// <inheritdoc/>
        public override string this[int index]
        {
            get
            {
                var (name, start) = Arrays.Last(array => array.Start <= index);
                return $"{name}[{index - start}]";
            }
        }
    }

    /// <summary>Files of a folder.</summary>
    public sealed record Files(IReadOnlyList<string> Paths) : SamplePlaces
    {
        /// <inheritdoc/>
        public override string this[int index] => Paths[index];
    }
}
