namespace ClusterNet.Core.Parameters;

/// <summary>
/// What travels with a gradient sum and is added along the same tree. Slice gradients are of the <i>sum</i> of weighted sample losses; the batch's mean gradient is
/// that sum divided by <see cref="Weight"/>. The samples are counted and fingerprinted where they are gathered, so that the sums over an epoch tell whether each was visited once.
/// </summary>
/// <param name="Weight">sum of the weights of the samples (their number where classes are not weighted)</param>
/// <param name="Loss">sum of the weighted losses of the samples</param>
/// <param name="Visits">the samples</param>
public readonly record struct StepStatistics(double Weight, double Loss, SampleVisits Visits = default)
{
    /// <summary>The sums of all.</summary>
    public static StepStatistics operator +(StepStatistics left, StepStatistics right) =>
        new(left.Weight + right.Weight, left.Loss + right.Loss, left.Visits + right.Visits);

    /// <summary>The same as the operator.</summary>
    public static StepStatistics Add(StepStatistics left, StepStatistics right) => left + right;

    /// <summary>Loss / Weight.</summary>
    public double MeanLoss => Loss / Weight;
}
