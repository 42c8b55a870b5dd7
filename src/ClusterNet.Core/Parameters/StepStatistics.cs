namespace ClusterNet.Core.Parameters;

/// <summary>
/// What travels with a gradient sum and is added along the same tree. Slice gradients are of the <i>sum</i> of weighted sample losses; the batch's mean gradient is
/// that sum divided by <see cref="Weight"/>.
/// </summary>
/// <param name="Weight">sum of the weights of the samples (their number where classes are not weighted)</param>
/// <param name="Loss">sum of the weighted losses of the samples</param>
public readonly record struct StepStatistics(double Weight, double Loss)
{
    /// <summary>The sums of both.</summary>
    public static StepStatistics operator +(StepStatistics left, StepStatistics right) => new(left.Weight + right.Weight, left.Loss + right.Loss);

    /// <summary>The same as the operator.</summary>
    public static StepStatistics Add(StepStatistics left, StepStatistics right) => left + right;

    /// <summary>Loss / Weight.</summary>
    public double MeanLoss => Loss / Weight;
}
