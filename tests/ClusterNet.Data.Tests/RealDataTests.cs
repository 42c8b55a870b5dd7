using ClusterNet.Core.Jobs;
using ClusterNet.Data.Description;
using ClusterNet.Data.Requests;

namespace ClusterNet.Data.Tests;

/// <summary>Real data sets that the project may not contain are read as their makers meant; skipped where they are not at hand.</summary>
public sealed class RealDataTests
{
    private static string PathOf(string name)
    {
        var folder = Environment.GetEnvironmentVariable("CLUSTERNET_TEST_DATA");
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); folder is null && at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "ClusterNet.sln")))
                folder = Path.Combine(at.FullName, "..", "shared", "data");
        }
        var path = folder is null ? null : Path.GetFullPath(Path.Combine(folder, name));
        Skip.IfNot(File.Exists(path), $"{name} is not here: set CLUSTERNET_TEST_DATA to the folder that has it");
        return path!;
    }

    [SkippableFact]
    public void Heart_beats_are_split_by_patient()
    {
        var spec = new DataSpec(PathOf("ecg/mitbih_pvc_beats.npz"), DataFormat.Npz, LearningTask.Classification)
        {
            Target = "y",
            Shape = [108, 1],
            Split = new SplitSpec(SplitKind.Group) { Column = "record", TestGroups = ["105", "116", "119", "123"], Validation = 0.15 },
            Preparation = [Specs.Step(PreparationKind.Standardize)],
        };
        var data = DataPipeline.Load(spec, 1);
        Assert.Equal(25_302, data.Training.Count + data.Validation.Count + data.Test.Count);
        Assert.Equal([108, 1], data.Test.Shape);
        Assert.InRange(data.Validation.Count / 25_302.0, 0.1, 0.2);
        Assert.Equal(0, data.Training.Features.ToArray().Average(value => (double)value), 1e-6);
        Assert.Equal(["0", "1"], data.Preparation.Signature.Classes);
    }

    [SkippableFact]
    public void Ultrasound_pictures_come_in_their_parts()
    {
        var path = PathOf("medmnist/breastmnist.npz");
        var spec = new DataSpec(path, DataFormat.Npz, LearningTask.Classification)
        {
            FeatureArray = "images",
            Target = "labels",
            Shape = [1, 28, 28],
            Split = new SplitSpec(SplitKind.Arrays),
            Preparation = [Specs.Step(PreparationKind.Scale) with { Value = "255" }],
        };
        var data = DataPipeline.Load(spec, 1);
        Assert.Equal((546, 78, 156), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.InRange(data.Training.Features.ToArray().Max(), 0.9f, 1f);
        var test = data.Preparation.Prepare(RawSampleReader.Read(path, RawSampleOptions.For(data.Preparation.Signature)), withTargets: true);
        Assert.Equal(data.Test.Features.ToArray(), test.Features.ToArray());
        Assert.Equal(data.Test.Labels.ToArray(), test.Labels.ToArray());
        Assert.Equal(6, DatasetDescriber.Describe(path).Arrays.Count);
    }

    [SkippableFact]
    public void Hospitals_say_themselves_what_is_test_data()
    {
        var spec = new DataSpec(PathOf("fed_heart_disease/fed_heart_disease.csv"), DataFormat.Csv, LearningTask.Classification)
        {
            Target = "label",
            Exclude = ["center_id", "source_row", "center"],
            Split = new SplitSpec(SplitKind.Column) { Column = "split" },
            Preparation = [Specs.Step(PreparationKind.Standardize)],
        };
        var data = DataPipeline.Load(spec, 1);
        Assert.Equal((740, 0), (data.Training.Count + data.Test.Count, data.Validation.Count));
        Assert.Equal([13], data.Training.Shape);
        Assert.Equal([17], DataPipeline.Load(spec with { Exclude = ["center_id", "source_row"], Categorical = ["center"] }, 1).Training.Shape);
    }

    [SkippableFact]
    public void Measurements_that_were_not_taken_are_filled_in()
    {
        var spec = new DataSpec(PathOf("tabular/pima_na.csv"), DataFormat.Csv, LearningTask.Classification)
        {
            Target = "diabetes",
            Preparation = [Specs.Step(PreparationKind.Impute) with { Strategy = ImputeStrategy.Median }, Specs.Step(PreparationKind.Standardize)],
        };
        Assert.Equal(["neg", "pos"], DataPipeline.Load(spec, 1).Preparation.Signature.Classes);
        Assert.Contains("impute", Assert.Throws<Core.Faults.InputException>(() => DataPipeline.Load(spec with { Preparation = [] }, 1)).Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_file_without_header_has_numbered_columns()
    {
        var path = PathOf("fed_heart_disease/processed.hungarian.data");
        var csv = new CsvSpec(Header: false);
        var columns = DatasetDescriber.Describe(path, csv).Columns;
        Assert.Equal(14, columns.Count);
        var spec = new DataSpec(path, DataFormat.Csv, LearningTask.Classification)
        {
            Target = "c13",
            Csv = csv,
            Exclude = [.. columns.Where(column => column.Missing > 100).Select(column => column.Name)],
            Preparation = [Specs.Step(PreparationKind.Impute)],
        };
        Assert.Equal(294, columns[13].MostFrequent.Sum(word => word.Count));
        Assert.Equal(2, DataPipeline.Load(spec, 1).Preparation.Signature.Classes.Count);
    }
}
