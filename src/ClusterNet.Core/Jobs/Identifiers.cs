namespace ClusterNet.Core.Jobs;

/// <summary>Names one training job. Part of persistence ids and file names, hence its narrow alphabet.</summary>
public readonly record struct JobId
{
    /// <summary>The most characters a job id may have.</summary>
    public const int MaxLength = 100;

    /// <param name="value">1 to <see cref="MaxLength"/> characters of a-z, A-Z, 0-9, '.', '_' and '-', the first a letter or digit</param>
    /// <exception cref="FormatException"><paramref name="value"/> is not of that form</exception>
    public JobId(string value)
    {
        if (!IsValid(value))
            throw new FormatException($"'{value}' is not a job id: 1 to {MaxLength} letters, digits, '.', '_' and '-', the first a letter or digit");
        Value = value;
    }

    /// <summary>The id as text.</summary>
    public string Value { get; }

    /// <summary>Whether <paramref name="value"/> can be a job id.</summary>
    public static bool IsValid(string? value) =>
        value is { Length: > 0 and <= MaxLength } && char.IsAsciiLetterOrDigit(value[0])
        && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    /// <inheritdoc/>
    public override string ToString() => Value;
}

/// <summary>One parameter shard of one job.</summary>
/// <param name="Job">the job</param>
/// <param name="Index">0 to the number of shards - 1</param>
public readonly record struct ShardId(JobId Job, int Index)
{
    /// <summary>The entity id: the job's id, a slash, the index.</summary>
    public override string ToString() => $"{Job}/{Index}";
}

/// <summary>
/// Counts the plans of a job: every change of who computes what opens the next one. Messages of an older generation are refused.
/// </summary>
public readonly record struct Generation(long Number) : IComparable<Generation>
{
    /// <summary>Before the first plan.</summary>
    public static readonly Generation None = new(0);

    /// <summary>The one after this.</summary>
    public Generation Next => new(Number + 1);

    /// <inheritdoc/>
    public int CompareTo(Generation other) => Number.CompareTo(other.Number);

    /// <summary>Whether <paramref name="left"/> is older than <paramref name="right"/>.</summary>
    public static bool operator <(Generation left, Generation right) => left.Number < right.Number;

    /// <summary>Whether <paramref name="left"/> is newer than <paramref name="right"/>.</summary>
    public static bool operator >(Generation left, Generation right) => left.Number > right.Number;

    /// <summary>Whether <paramref name="left"/> is not newer than <paramref name="right"/>.</summary>
    public static bool operator <=(Generation left, Generation right) => left.Number <= right.Number;

    /// <summary>Whether <paramref name="left"/> is not older than <paramref name="right"/>.</summary>
    public static bool operator >=(Generation left, Generation right) => left.Number >= right.Number;

    /// <inheritdoc/>
    public override string ToString() => $"g{Number}";
}

/// <summary>One immutable version of a registered model.</summary>
/// <param name="Model">the model's name, of the same alphabet as a <see cref="JobId"/></param>
/// <param name="Version">1 and up</param>
public readonly record struct ModelVersionId(string Model, int Version)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Model}:{Version}";
}
