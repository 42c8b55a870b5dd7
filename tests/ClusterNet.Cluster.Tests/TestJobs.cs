using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Tests;

/// <summary>Small jobs that tests share.</summary>
internal static class TestJobs
{
    public static readonly JobId Id = new("test-1");

    /// <summary>Four samples, a network of nine parameters.</summary>
    public static JobSpec Xor(Func<TrainingSpec, TrainingSpec>? change = null) => new(
        "test",
        new DataSpec("builtin:xor", DataFormat.Csv, LearningTask.Classification) { Split = new SplitSpec(SplitKind.None) },
        new ModelSpec("mlp", new Dictionary<string, SettingValue> { ["hidden"] = new SettingValue.Scalar("2") }, new InitialisationSpec(InitialisationKind.Normal)),
        Changed(new TrainingSpec { BatchSize = 4, Steps = 10, Slices = 4, Checkpoint = new CheckpointSpec(4, 2), Select = VersionSelection.Last }, change));

    /// <summary>569 samples with a validation part.</summary>
    public static JobSpec Wdbc(string kind, Func<TrainingSpec, TrainingSpec>? change = null, params (string Name, string[] Values)[] settings) => new(
        "test",
        new DataSpec("builtin:wdbc", DataFormat.Csv, LearningTask.Classification) { Preparation = [new PreparationSpec(PreparationKind.Standardize, [])] },
        new ModelSpec(kind, Settings(settings), new InitialisationSpec()),
        Changed(new TrainingSpec { Epochs = 3, Slices = 4, Checkpoint = new CheckpointSpec(10, 2) }, change));

    /// <summary>1,797 images of 8 x 8, as pictures or as sequences of rows.</summary>
    public static JobSpec Digits(string kind, int[] shape, Func<TrainingSpec, TrainingSpec>? change = null, params (string Name, string[] Values)[] settings) => new(
        "test",
        new DataSpec("builtin:digits", DataFormat.Csv, LearningTask.Classification) { Shape = shape, Preparation = [new PreparationSpec(PreparationKind.Scale, []) { Value = "16" }] },
        new ModelSpec(kind, Settings(settings), new InitialisationSpec()),
        Changed(new TrainingSpec { Epochs = 1, Slices = 4, BatchSize = 64, Checkpoint = new CheckpointSpec(10, 2) }, change));

    public static WorkerProtocol.JobPlan PlanOf(JobSpec spec, ParameterLayout layout)
    {
        var data = DataPipeline.Load(spec.Data, spec.Training.Seed);
        return new WorkerProtocol.JobPlan(layout, data.Training.Count, data.Validation.Count, data.Test.Count, data.Preparation.ToJson(), data.Fingerprint);
    }

    public static ParameterLayout Layout(params int[] lengths) =>
        new(lengths.Select((length, i) => ($"p{i}", (IReadOnlyList<int>)[length])));

    public static ParameterProtocol.ShardSetup Setup(ParameterLayout layout, TrainingSpec training, int shards = 1) => new(training, 100, layout, shards, 10);

    public static TensorPayload Payload(params float[] values)
    {
        var buffer = new TensorBufferPool(values.Length).Rent();
        values.CopyTo(buffer.Span);
        return new TensorPayload(buffer, 0, values.Length);
    }

    /// <summary>As many values as asked for, that follow from the seed.</summary>
    public static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
    }

    private static Dictionary<string, SettingValue> Settings((string Name, string[] Values)[] settings) => settings.ToDictionary(
        setting => setting.Name,
        SettingValue (setting) => setting.Values.Length == 1
            ? new SettingValue.Scalar(setting.Values[0])
            : new SettingValue.List([.. setting.Values.Select(value => new SettingValue.Scalar(value))]));

    private static TrainingSpec Changed(TrainingSpec training, Func<TrainingSpec, TrainingSpec>? change) => change is null ? training : change(training);
}
