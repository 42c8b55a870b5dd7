using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Tests;

/// <summary>Data sections that several tests use.</summary>
internal static class Specs
{
    public static readonly DataSpec Wdbc = new("builtin:wdbc", DataFormat.Csv, LearningTask.Classification)
    {
        Preparation = [new PreparationSpec(PreparationKind.Standardize, [])],
    };

    public static string EmbeddedText(string resource)
    {
        using var reader = new StreamReader(typeof(DataPipeline).Assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }
}
