namespace ClusterNet.Data.Splits;

/// <summary>Which sample is in which part: positions in the source, ascending, each in exactly one part.</summary>
internal sealed record Split(int[] Training, int[] Validation, int[] Test)
{
    /// <summary>From the part of each sample.</summary>
    public static Split Of(ReadOnlySpan<Part> parts)
    {
        var positions = new List<int>[] { [], [], [] };
        for (var i = 0; i < parts.Length; i++)
            positions[(int)parts[i]].Add(i);
        return new Split([.. positions[(int)Part.Training]], [.. positions[(int)Part.Validation]], [.. positions[(int)Part.Test]]);
    }
}

/// <summary>The three parts.</summary>
internal enum Part
{
    /// <summary>What a model learns from.</summary>
    Training,

    /// <summary>What choices are made by.</summary>
    Validation,

    /// <summary>What the result is measured on.</summary>
    Test,
}
