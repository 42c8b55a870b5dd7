using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Optimizers;

/// <summary>
/// The factor on the base learning rate as a function of the step (0-based: the number of updates done before). During the first <see cref="ScheduleSpec.WarmupSteps"/>
/// steps it is (step + 1) / warm-up steps, so that the last of them has the full rate; the course of <see cref="ScheduleSpec.Kind"/> then begins at 1 with the next step.
/// </summary>
/// <param name="spec">which course</param>
/// <param name="totalSteps">steps of the job: where the cosine and the line end. Their final factor is that of step <paramref name="totalSteps"/> - 1 and of any later one</param>
public sealed class LearningRateSchedule(ScheduleSpec spec, long totalSteps)
{
    /// <summary>The factor for <paramref name="step"/>.</summary>
    public double Factor(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        if (step < spec.WarmupSteps)
            return (step + 1.0) / spec.WarmupSteps;
        var done = step - spec.WarmupSteps;
        return spec.Kind switch
        {
            ScheduleKind.Constant => 1,
            ScheduleKind.Step => PortableMath.Power(spec.Gamma, done / Math.Max(1, spec.Every)),
            ScheduleKind.Cosine => spec.FinalFactor + (1 - spec.FinalFactor) * 0.5 * (1 + PortableMath.CosPi(Progress(done))),
            ScheduleKind.Linear => 1 + (spec.FinalFactor - 1) * Progress(done),
            _ => throw new InvalidOperationException($"no schedule {spec.Kind}"),
        };
    }

    // 0 at the first step after warm-up, 1 at the last of the job
    private double Progress(long done)
    {
        var last = totalSteps - spec.WarmupSteps - 1;
        return done == 0 ? 0 : done >= last ? 1 : (double)done / last;
    }
}
