using ClusterNet.Core.Plans;
using CsCheck;

namespace ClusterNet.Core.Tests.Plans;

/// <summary>The promise that draws are the same on any machine, in range, and uniform.</summary>
public sealed class SplitMix64Tests
{
    [Fact]
    public void The_outputs_are_those_of_the_published_generator()
    {
        // seed 1234567: the check values of Vigna's splitmix64.c as listed at Rosetta Code
        var generator = new SplitMix64(1234567);
        Assert.Equal([6457827717110365317UL, 3203168211198807973UL, 9817491932198370423UL, 4593380528125082431UL, 16408922859458223821UL],
            Enumerable.Range(0, 5).Select(_ => generator.Next()));
    }

    [Fact]
    public void Bounded_draws_stay_below_the_bound() => Gen.Select(Gen.ULong, Gen.Int[1, int.MaxValue]).Sample((seed, bound) =>
        Assert.InRange(new SplitMix64(seed).Next(bound), 0, bound - 1));

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(10)]
    public void Bounded_draws_are_uniform(int bound)
    {
        const int Draws = 100_000;
        var generator = new SplitMix64(42);
        var counts = new int[bound];
        for (var i = 0; i < Draws; i++)
            counts[generator.Next(bound)]++;
        var expected = (double)Draws / bound;
        // chi-squared over at most 9 degrees of freedom; 27.9 is its 99.9 % quantile for 9. The seed is fixed, so this is no matter of luck
        Assert.True(counts.Sum(count => (count - expected) * (count - expected) / expected) < 27.9);
    }

    [Fact]
    public void A_fraction_lies_in_the_unit_interval_and_a_permutation_is_one() => Gen.Select(Gen.ULong, Gen.Int[0, 100]).Sample((seed, count) =>
    {
        var generator = new SplitMix64(seed);
        Assert.InRange(generator.NextDouble(), 0, 1 - double.Epsilon);
        Assert.Equal(Enumerable.Range(0, count), generator.Permutation(count).Order());
    });

    [Fact]
    public void Combined_seeds_differ_by_every_part_and_its_place()
    {
        var seeds = new HashSet<ulong>();
        for (var seed = -10; seed < 10; seed++)
        {
            for (var step = 0; step < 20; step++)
            {
                for (var slice = 0; slice < 20; slice++)
                    Assert.True(seeds.Add(SplitMix64.Combine(seed, step, slice)));
            }
        }
        Assert.True(seeds.Add(SplitMix64.Combine(1, 2)));
        Assert.True(seeds.Add(SplitMix64.Combine(2, 1)));
    }
}
