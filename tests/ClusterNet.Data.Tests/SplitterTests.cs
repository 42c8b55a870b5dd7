using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Sources;
using ClusterNet.Data.Splits;
using CsCheck;

namespace ClusterNet.Data.Tests;

/// <summary>Every sample is in exactly one part and no group in two, whatever the data, the fractions and the seed.</summary>
public sealed class SplitterTests
{
    private static readonly Gen<(double Validation, double Test)> Fractions =
        Gen.Select(Gen.Double[0, 0.6], Gen.Double[0, 0.39]).Select((validation, test) => (validation, test));

    private static WordColumn Words(string name, IEnumerable<int> codes)
    {
        var index = new WordIndex();
        return new WordColumn(name, [.. codes.Select(code => index.CodeOf($"w{code}"))], index.Words);
    }

    private static Frame FrameOf(int count, IEnumerable<int>? classes = null, IEnumerable<int>? groups = null, WordColumn? parts = null) => new(
        new ArrayFeatures("X", [1], new float[count]),
        classes is null ? new NumberColumn("target", new float[count]) : Words("target", classes),
        groups is null ? null : Words("patient", groups),
        parts,
        new SamplePlaces.Entries("X"));

    private static DataSpec Spec(SplitSpec split) => new("/x", DataFormat.Npz, LearningTask.Classification) { Split = split };

    /// <summary>The split, or null where it was refused: a property of splits holds for those that are made.</summary>
    private static Split? Deal(Frame frame, SplitSpec split, long seed)
    {
        try
        {
            return Splitter.Deal(frame, Spec(split), seed);
        }
        catch (InputException)
        {
            return null;
        }
    }

    private static bool IsPartition(Split split, int count) =>
        split.Training.Concat(split.Validation).Concat(split.Test).Order().SequenceEqual(Enumerable.Range(0, count))
        && new[] { split.Training, split.Validation, split.Test }.All(part => part.SequenceEqual(part.Order()));

    [Fact]
    public void A_random_split_is_a_partition_of_the_sizes_asked_for() =>
        Gen.Select(Gen.Int[1, 300], Fractions, Gen.Long).Sample((count, fractions, seed) =>
            Deal(FrameOf(count), new SplitSpec(SplitKind.Random) { Validation = fractions.Validation, Test = fractions.Test }, seed) is not { } split
            || (IsPartition(split, count)
                && Math.Abs(split.Test.Length - (fractions.Test * count)) <= 0.5 + 1e-9
                && Math.Abs(split.Validation.Length - (fractions.Validation * count)) <= 1 + 1e-9));

    [Fact]
    public void A_stratified_split_keeps_each_class_in_proportion() =>
        Gen.Select(Gen.Int[0, 4].Array[2, 300], Fractions, Gen.Long).Sample((classes, fractions, seed) =>
        {
            var frame = FrameOf(classes.Length, classes);
            if (Deal(frame, new SplitSpec(SplitKind.Stratified) { Validation = fractions.Validation, Test = fractions.Test }, seed) is not { } split)
                return true;
            var codes = ((WordColumn)frame.Target!).Codes;
            return IsPartition(split, classes.Length) && codes.CountBy(code => code).All(total =>
                Math.Abs(split.Test.Count(i => codes[i] == total.Key) - (fractions.Test * total.Value)) <= 1 + 1e-9
                && split.Training.Any(i => codes[i] == total.Key));
        });

    [Fact]
    public void No_group_stands_in_two_parts() =>
        Gen.Select(Gen.Int[0, 12].Array[2, 200], Fractions, Gen.Long).Sample((groups, fractions, seed) =>
        {
            var frame = FrameOf(groups.Length, groups: groups);
            if (Deal(frame, new SplitSpec(SplitKind.Group) { Column = "patient", Validation = fractions.Validation, Test = fractions.Test }, seed) is not { } split)
                return true;
            var parts = new[] { split.Training, split.Validation, split.Test }.Select(part => part.Select(i => groups[i]).ToHashSet()).ToArray();
            return IsPartition(split, groups.Length) && parts.Sum(part => part.Count) == groups.Distinct().Count();
        });

    [Fact]
    public void Fractions_of_many_small_groups_are_met_closely()
    {
        var groups = Enumerable.Range(0, 1000).Select(i => i / 5).ToArray();
        var split = Splitter.Deal(FrameOf(1000, groups: groups), Spec(new SplitSpec(SplitKind.Group) { Column = "patient", Validation = 0.1, Test = 0.2 }), 1);
        Assert.Equal((700, 100, 200), (split.Training.Length, split.Validation.Length, split.Test.Length));
    }

    [Fact]
    public void Named_test_groups_are_the_test_part_and_validation_is_drawn_from_the_others()
    {
        var groups = Enumerable.Range(0, 100).Select(i => i / 10).ToArray();
        var spec = new SplitSpec(SplitKind.Group) { Column = "patient", TestGroups = ["w3", "w7"], Validation = 0.2 };
        var split = Splitter.Deal(FrameOf(100, groups: groups), Spec(spec), 5);
        Assert.Equal(Enumerable.Range(30, 10).Concat(Enumerable.Range(70, 10)), split.Test);
        Assert.Equal(20, split.Validation.Length);
        Assert.Equal(split.Validation, Splitter.Deal(FrameOf(100, groups: groups), Spec(spec), 5).Validation);
        var other = Splitter.Deal(FrameOf(100, groups: groups), Spec(spec with { ValidationGroups = ["w0"] }), 5);
        Assert.Equal(Enumerable.Range(0, 10), other.Validation);
    }

    [Fact]
    public void The_seed_of_the_split_wins_over_that_of_the_job()
    {
        var frame = FrameOf(100);
        var free = new SplitSpec(SplitKind.Random);
        Assert.NotEqual(Deal(frame, free, 1)!.Test, Deal(frame, free, 2)!.Test);
        Assert.Equal(Deal(frame, free with { Seed = 9 }, 1)!.Test, Deal(frame, free with { Seed = 9 }, 2)!.Test);
    }

    [Fact]
    public void A_column_of_parts_is_followed_to_the_letter()
    {
        var parts = new WordColumn("split", [0, 1, 2, 0, 3], ["train", "val", "TEST", "validation"]);
        var split = Splitter.Deal(FrameOf(5, parts: parts), Spec(new SplitSpec(SplitKind.Column) { Column = "split" }), 1);
        Assert.Equal([0, 3], split.Training);
        Assert.Equal([1, 4], split.Validation);
        Assert.Equal([2], split.Test);

        var typo = new WordColumn("split", [0, 1], ["train", "tests"]);
        var fault = Specs.SingleFault(() => Splitter.Deal(FrameOf(2, parts: typo), Spec(new SplitSpec(SplitKind.Column) { Column = "split" }), 1));
        Assert.Equal(("X[1]", "tests"), (fault.Place, fault.Found));
        Assert.Contains("test", fault.Candidates);
    }

    [Theory]
    [InlineData(0.5, 0.5, "data.split", "leave nothing to train on")]
    [InlineData(-0.1, 0.5, "data.split.validation", "not a fraction")]
    [InlineData(0.1, 1.0, "data.split.test", "not a fraction")]
    [InlineData(double.NaN, 0.1, "data.split.validation", "not a fraction")]
    [InlineData(0.01, 0.2, "data.split.validation", "is none")]
    [InlineData(0.2, 0.01, "data.split.test", "is none")]
    public void Fractions_that_can_not_be_are_refused(double validation, double test, string place, string message)
    {
        foreach (var kind in new[] { SplitKind.Random, SplitKind.Stratified, SplitKind.Group })
        {
            var frame = FrameOf(20, Enumerable.Range(0, 20).Select(i => i % 2), Enumerable.Range(0, 20));
            var fault = Specs.SingleFault(() => Splitter.Deal(frame, Spec(new SplitSpec(kind) { Column = "patient", Validation = validation, Test = test }), 1));
            Assert.Equal(place, fault.Place);
            Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Groups_that_are_not_there_or_in_two_parts_are_refused()
    {
        var frame = FrameOf(4, groups: [0, 1, 2, 3]);
        var split = new SplitSpec(SplitKind.Group) { Column = "patient", TestGroups = ["w1", "w9"], ValidationGroups = ["w1"] };
        var faults = Assert.Throws<InputException>(() => Splitter.Deal(frame, Spec(split), 1)).Faults;
        Assert.Equal(["data.split.test-groups", "data.split.validation-groups"], faults.Select(fault => fault.Place));
        Assert.Equal("w9", faults[0].Found);
        Assert.Contains("left to train on", Specs.SingleFault(() => Splitter.Deal(
            frame, Spec(split with { TestGroups = ["w0", "w1", "w2", "w3"], ValidationGroups = [], Validation = 0 }), 1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_class_that_training_lacks_is_refused_where_it_stands()
    {
        var groups = new[] { 0, 0, 1, 1, 2, 2 };
        var split = new SplitSpec(SplitKind.Group) { Column = "patient", TestGroups = ["w2"], Validation = 0 };
        var fault = Specs.SingleFault(() => Splitter.Deal(FrameOf(6, [0, 1, 0, 1, 0, 5], groups), Spec(split), 1));
        Assert.Equal("X[5]", fault.Place);
        Assert.Contains("'w5' stands 1 times in the test part and never in training", fault.Message, StringComparison.Ordinal);
        Assert.Contains("only the class", Specs.SingleFault(() => Splitter.Deal(FrameOf(3, [1, 1, 1]), Spec(Specs.NoSplit), 1)).Message, StringComparison.Ordinal);
    }
}
