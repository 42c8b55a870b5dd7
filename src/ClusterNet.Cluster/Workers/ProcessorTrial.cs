using System.Security.Cryptography;
using System.Text;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Plans;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// Tells which nodes are of one kind before a job has been prepared on any: whoever prepares it settles with its own arithmetic which nodes can work on it (<see cref="TrialGradient"/>). Two small models of
/// different kernels. What it says decides who is asked first, and nothing else.
/// </summary>
internal static class ProcessorTrial
{
    // with relu an mlp would be ours, and tell nothing; none that oneDNN computes for: once it does, all memory of the process is zeroed, which others need not pay for (NativeHeap)
    private static readonly (int[] Shape, Dictionary<string, SettingValue> Settings, string Kind)[] _models =
    [
        ([64], new() { ["hidden"] = new SettingValue.List([new SettingValue.Scalar("64"), new SettingValue.Scalar("32")]), ["activation"] = new SettingValue.Scalar("tanh") }, "mlp"),
        ([8, 8], new() { ["cell"] = new SettingValue.Scalar("gru"), ["hidden"] = new SettingValue.Scalar("48") }, "rnn"),
    ];

    /// <summary>SHA-256, lower-case hexadecimal, of gradients of these models on the digits that come with ClusterNet, as one torch thread computes them here.</summary>
    public static string Sha256()
    {
        var catalog = new ModelCatalog(ModelCatalog.BuiltIn);
        var training = new TrainingSpec { BatchSize = 128, Slices = 4 };
        var trials = new StringBuilder();
        foreach (var (shape, settings, kind) in _models)
        {
            var data = new DataSpec("builtin:digits", DataFormat.Csv, LearningTask.Classification) { Shape = shape, Preparation = [new PreparationSpec(PreparationKind.Scale, []) { Value = "16" }] };
            var parts = DataPipeline.Load(data, training.Seed);
            using var model = catalog.Build(new ModelSpec(kind, settings, new InitialisationSpec()), training.Loss, parts.Preparation.Signature, training.Seed, threads: 1);
            using var loss = LossFunction.For(training.Loss, parts);
            using var computer = new GradientComputer(model, loss, parts.Training);
            trials.AppendLine(TrialGradient.Sha256(computer, BatchPlan.Of(training, parts.Training.Count), model.Layout.Length));
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(trials.ToString())));
    }
}
