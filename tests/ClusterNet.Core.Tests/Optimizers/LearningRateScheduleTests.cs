using ClusterNet.Core.Jobs;
using ClusterNet.Core.Optimizers;
using CsCheck;

namespace ClusterNet.Core.Tests.Optimizers;

/// <summary>The promise that each schedule is its formula, after a warm-up that is a straight line.</summary>
public sealed class LearningRateScheduleTests
{
    [Fact]
    public void Warm_up_is_a_line_to_one_and_the_course_begins_after_it() =>
        Gen.Select(Gen.Enum<ScheduleKind>(), Gen.Int[1, 50], Gen.Int[1, 100]).Sample((kind, warmup, rest) =>
        {
            var schedule = new LearningRateSchedule(new ScheduleSpec { Kind = kind, WarmupSteps = warmup }, warmup + rest);
            for (var step = 0; step < warmup; step++)
                Assert.Equal((step + 1.0) / warmup, schedule.Factor(step));
            Assert.Equal(1, schedule.Factor(warmup));
        });

    [Fact]
    public void Each_course_is_its_closed_form() =>
        Gen.Select(Gen.Int[0, 20], Gen.Int[2, 300], Gen.Double[0, 1], Gen.Int[1, 50]).Sample((warmup, rest, final, every) =>
        {
            LearningRateSchedule Of(ScheduleKind kind) =>
                new(new ScheduleSpec { Kind = kind, WarmupSteps = warmup, FinalFactor = final, Every = every, Gamma = 0.5 }, warmup + rest);
            for (var done = 0; done < rest; done++)
            {
                var progress = done / (rest - 1.0);
                Assert.Equal(1, Of(ScheduleKind.Constant).Factor(warmup + done));
                Assert.Equal(Math.Pow(0.5, done / every), Of(ScheduleKind.Step).Factor(warmup + done), 1e-14);
                Assert.Equal(final + (1 - final) / 2 * (1 + Math.Cos(Math.PI * progress)), Of(ScheduleKind.Cosine).Factor(warmup + done), 1e-14);
                Assert.Equal(1 - (1 - final) * progress, Of(ScheduleKind.Linear).Factor(warmup + done), 1e-14);
            }
        }, iter: 30);

    [Fact]
    public void The_last_step_has_the_final_factor_and_so_has_any_beyond()
    {
        foreach (var kind in (ScheduleKind[])[ScheduleKind.Cosine, ScheduleKind.Linear])
        {
            var schedule = new LearningRateSchedule(new ScheduleSpec { Kind = kind, WarmupSteps = 3, FinalFactor = 0.25 }, 10);
            Assert.Equal(0.25, schedule.Factor(9));
            Assert.Equal(0.25, schedule.Factor(1000));
            Assert.InRange(schedule.Factor(8), 0.2501, 1);
        }
    }

    [Fact]
    public void A_job_of_one_step_takes_it_at_the_full_rate() =>
        Assert.Equal(1, new LearningRateSchedule(new ScheduleSpec { Kind = ScheduleKind.Cosine }, 1).Factor(0));

    [Fact]
    public void Portable_functions_agree_with_the_platform_s() => Gen.Select(Gen.Double[0, 1], Gen.Long[0, 100_000]).Sample((turn, exponent) =>
    {
        Assert.Equal(Math.Cos(Math.PI * turn), PortableMath.CosPi(turn), 1e-15);
        Assert.Equal(Math.Pow(0.999, exponent), PortableMath.Power(0.999, exponent), 1e-12);
    });
}
