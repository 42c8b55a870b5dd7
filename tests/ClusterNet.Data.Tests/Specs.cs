using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Tests;

/// <summary>Data sections, and ways to look at faults, that several tests use.</summary>
internal static class Specs
{
    public static readonly DataSpec Wdbc = new("builtin:wdbc", DataFormat.Csv, LearningTask.Classification)
    {
        Preparation = [new PreparationSpec(PreparationKind.Standardize, [])],
    };

    public static readonly SplitSpec NoSplit = new(SplitKind.None);

    public static DataSpec Csv(string path) => new(path, DataFormat.Csv, LearningTask.Classification) { Split = NoSplit };

    public static DataSpec Regression(string path) => new(path, DataFormat.Csv, LearningTask.Regression) { Split = NoSplit };

    public static DataSpec Npz(string path) => new(path, DataFormat.Npz, LearningTask.Classification) { Split = NoSplit, Target = "y" };

    public static PreparationSpec Step(PreparationKind kind, params string[] columns) => new(kind, columns);

    public static Fault SingleFault(Action action) => Assert.Single(Assert.Throws<InputException>(action).Faults);

    public static Fault SingleFault(DataSpec spec) => SingleFault(() => DataPipeline.Load(spec, 1));

    public static string EmbeddedText(string resource)
    {
        using var reader = new StreamReader(typeof(DataPipeline).Assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }
}
