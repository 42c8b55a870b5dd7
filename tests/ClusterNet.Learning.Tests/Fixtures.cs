using System.Runtime.CompilerServices;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using ClusterNet.Learning.Training;

namespace ClusterNet.Learning.Tests;

/// <summary>Small models and random samples for them.</summary>
internal static class Fixtures
{
    public static ModelCatalog Catalog { get; } = new(ModelCatalog.BuiltIn);

    public static LossSpec CrossEntropy { get; } = new();

    [ModuleInitializer]
    internal static void LoadTorch() => TorchLoader.EnsureLoaded();

    /// <summary>Settings as a job file would give them: <c>"hidden: 8 4; dropout: 0.5"</c>.</summary>
    public static ModelSpec Model(string kind, string settings = "", InitialisationSpec? initialisation = null) => new(kind, Settings(settings), initialisation ?? new InitialisationSpec());

    public static Dictionary<string, SettingValue> Settings(string text) => text
        .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        .Select(pair => pair.Split(':', 2, StringSplitOptions.TrimEntries))
        .ToDictionary(pair => pair[0], pair => pair[1].Split(' ') is { Length: > 1 } items
            ? new SettingValue.List([.. items.Select(item => new SettingValue.Scalar(item))])
            : (SettingValue)new SettingValue.Scalar(pair[1]));

    public static DataSignature Classification(int classes, params int[] shape) =>
        new(LearningTask.Classification, ["x"], shape, [.. Enumerable.Range(0, classes).Select(i => $"c{i}")], "y");

    public static DataSignature Regression(params int[] shape) => new(LearningTask.Regression, ["x"], shape, [], "y");

    /// <summary>Samples whose target can be learned from them: class or value follow the sum of the first features.</summary>
    public static SampleSet Samples(DataSignature signature, int count, ulong seed = 1)
    {
        var random = new SplitMix64(seed);
        var elements = signature.Shape.Aggregate(1, (product, axis) => product * axis);
        var features = new float[count * elements];
        for (var i = 0; i < features.Length; i++)
            features[i] = (float)(random.NextDouble() * 2 - 1);
        float Score(int i) => features.AsSpan(i * elements, Math.Min(elements, 4)).ToArray().Sum();
        var labels = signature.Classes.Count == 0
            ? [] : Enumerable.Range(0, count).Select(i => (int)Math.Clamp((Score(i) + 2) / 4 * signature.Classes.Count, 0, signature.Classes.Count - 1)).ToArray();
        var values = signature.Classes.Count == 0 ? Enumerable.Range(0, count).Select(Score).ToArray() : [];
        return new SampleSet(signature.Shape, features, labels, values, Enumerable.Range(0, count).ToArray());
    }

    /// <summary>One of each built-in kind, all with dropout, with samples that fit.</summary>
    public static (ModelSpec Model, DataSignature Signature) Kind(string kind) => kind switch
    {
        "mlp" => (Model("mlp", "hidden: 32 16; dropout: 0.3; layer-norm: true"), Classification(3, 20)),
        "cnn" => (Model("cnn", "channels: 4 8; dropout: 0.2; group-norm: 2; residual: true; head: 16"), Classification(3, 1, 8, 8)),
        "mlp-odd" => (Model("mlp", "hidden: 5 33 7; activation: gelu"), Classification(3, 13)),
        "rnn-odd" => (Model("rnn", "cell: rnn; hidden: 5; layers: 3; bidirectional: true; dropout: 0.1"), Classification(3, 7, 3)),
        "gru" => (Model("rnn", "cell: gru; hidden: 12; layers: 2; dropout: 0.2"), Classification(3, 8, 8)),
        _ => (Model("rnn", "cell: lstm; hidden: 8; layers: 2; bidirectional: true; pooling: mean; dropout: 0.1"), Classification(3, 8, 8)),
    };

    public static GradientComputer Computer(TrainableModel model, LossSpec loss, SampleSet samples) =>
        new(model, new LossFunction(loss, model.Signature), samples);
}
