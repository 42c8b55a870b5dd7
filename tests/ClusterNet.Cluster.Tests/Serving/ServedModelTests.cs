using Akka.Actor;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests.Models;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>What is served is what was trained: the same weights, the same preparation, the same bits whatever a sample is asked together with.</summary>
public sealed class ServedModelTests : TestKit
{
    private static readonly ModelCatalog Catalog = new(ModelCatalog.BuiltIn);

    public ServedModelTests()
        : base(TestStore.Config)
    {
    }

    [Theory]
    [InlineData("builtin:wdbc", "mlp")]
    [InlineData("builtin:digits", "mlp")]
    [InlineData("builtin:digits", "cnn", 1, 8, 8)]
    [InlineData("builtin:digits", "rnn", 8, 8)]
    public void A_prediction_has_the_same_bits_alone_and_in_any_company(string source, string kind, params int[] shape)
    {
        var (stored, weights, data) = Version(source, kind, shape);
        using var model = ServedModel.LoaderFor(Catalog, threads: 1)(stored, Parts(stored, weights));
        var width = model.Predict(Slice(data.Test, 0, 1)).Length;
        var together = model.Predict(Slice(data.Test, 0, 75));
        foreach (var (first, count) in new[] { (0, 1), (1, 1), (3, 1), (7, 5), (16, 3), (30, 19), (60, 15), (74, 1) })
            Assert.Equal(Bits(together.AsSpan(first * width, count * width)), Bits(model.Predict(Slice(data.Test, first, count))));
    }

    [Fact]
    public async Task A_registered_version_predicts_and_is_evaluated_through_the_actors()
    {
        var (stored, weights, data) = Version("builtin:wdbc", "mlp", []);
        foreach (var (range, values) in Parts(stored, weights))
        {
            var probe = CreateTestProbe();
            probe.ChildActorOf(WeightsPartActor.PropsForSave(stored.Version.Id, range, values));
            await probe.ExpectMsgAsync<WeightsProtocol.Saved>();
        }
        var registry = Sys.ActorOf(ModelRegistryActor.PropsFor());
        await registry.Ask<Replies.Reserved>(new Commands.Reserve(stored.Version.Id.Model, stored.Version.Job));
        await registry.Ask<Replies.Registered>(new Commands.Register(stored));
        var settings = new ServingSettings { CheckInterval = TimeSpan.FromMilliseconds(20) };
        var host = Sys.ActorOf(InferenceHostActor.PropsFor(registry, ServedModel.LoaderFor(Catalog, 1), settings));

        string?[][] rows = [.. Enumerable.Range(0, 20).Select(i => Enumerable.Range(0, 30).Select(j => (string?)FormattableString.Invariant($"{10.5 + i * j}")).ToArray())];
        var table = new RawSamples.Table(data.Preparation.Signature.InputNames, rows);
        var prediction = await host.Ask<Prediction>(new ServingProtocol.Queries.Predict(stored.Version.Id, table));
        var prepared = data.Preparation.Prepare(table, withTargets: false);
        using var model = Catalog.Build(stored.Version.Model, stored.Loss, data.Preparation.Signature, stored.Version.Seed, 1);
        weights.CopyTo(model.Weights);
        using var loss = new LossFunction(stored.Loss, data.Preparation.Signature);
        using var predictor = new Predictor(model, loss, isBatchInvariant: true);
        Assert.Equal(Bits(predictor.Predict(prepared)), Bits(prediction.Outputs.Span));
        Assert.Equal(data.Preparation.Signature.Classes, prediction.Classes);

        var targets = data.Preparation.Signature.Classes;
        var labelled = new RawSamples.Table(
            [.. table.Columns, data.Preparation.Signature.TargetName], [.. rows.Select((row, i) => (IReadOnlyList<string?>)[.. row, targets[i % targets.Count]])]);
        var evaluation = await host.Ask<ServingProtocol.Replies.EvaluationDone>(new ServingProtocol.Queries.Evaluate(stored.Version.Id, labelled));
        using var evaluator = new Evaluator(model, loss);
        Assert.Equal(evaluator.Evaluate(data.Preparation.Prepare(labelled, withTargets: true)).Report().Values, evaluation.Metrics);

        var lacking = table with { Columns = [.. table.Columns.Select((name, i) => i == 3 ? "something_else" : name)] };
        var failed = await host.Ask<ServingProtocol.Replies.PredictFailed>(new ServingProtocol.Queries.Predict(stored.Version.Id, lacking));
        Assert.Equal(ServingProtocol.FailureKind.InvalidInput, failed.Kind);

        await registry.Ask<Replies.Deleted>(new Commands.Delete(stored.Version.Id.Model, null));
        await AwaitAssertAsync(async () => Assert.Equal(
            ServingProtocol.FailureKind.UnknownModel,
            (await host.Ask<object>(new ServingProtocol.Queries.Predict(stored.Version.Id, table)) as ServingProtocol.Replies.PredictFailed)?.Kind));
    }

    [Fact]
    public void Weights_of_another_model_are_refused()
    {
        var (stored, weights, _) = Version("builtin:wdbc", "mlp", []);
        var other = stored with { Version = stored.Version with { Parameters = 5 } };
        var refused = Assert.Throws<InvalidDataException>(() => ServedModel.LoaderFor(Catalog, 1)(other, Parts(stored, weights)));
        Assert.Contains("5 where it was trained", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_preparation_is_refused()
    {
        var (stored, weights, _) = Version("builtin:wdbc", "mlp", []);
        var damaged = stored with { PreparationJson = stored.PreparationJson[..^2] };
        Assert.Throws<InvalidDataException>(() => ServedModel.LoaderFor(Catalog, 1)(damaged, Parts(stored, weights)));
    }

    private static (StoredVersion Stored, float[] Weights, PreparedData Data) Version(string source, string kind, int[] shape)
    {
        var data = DataPipeline.Load(
            new DataSpec(source, DataFormat.Csv, LearningTask.Classification)
            {
                Shape = shape,
                Preparation = [new PreparationSpec(PreparationKind.Standardize, [])],
            },
            seed: 1);
        var spec = new ModelSpec(kind, new Dictionary<string, SettingValue>(), new InitialisationSpec());
        using var model = Catalog.Build(spec, new LossSpec(), data.Preparation.Signature, 1, 1);
        float[] weights = [.. model.Weights];
        // not the initial ones, so that a model that was not given its weights shows
        for (var i = 0; i < weights.Length; i++)
            weights[i] *= 1.5f;
        var half = weights.Length / 2;
        var stored = Samples.Stored("real", 1, "real-1", weights, half, weights.Length - half);
        return (stored with
        {
            Version = stored.Version with { Model = spec, Signature = data.Preparation.Signature },
            PreparationJson = data.Preparation.ToJson(),
        }, weights, data);
    }

    private static (ShardRange Range, TensorPayload Values)[] Parts(StoredVersion stored, float[] weights) =>
        [.. stored.Parts.Select(part => (part, Samples.Payload(weights[part.Offset..part.End])))];

    private static SampleSet Slice(SampleSet all, int first, int count) =>
        new(all.Shape, all.Features.Slice(first * all.ElementsPerSample, count * all.ElementsPerSample), default, default, Enumerable.Range(0, count).ToArray());

    private static int[] Bits(ReadOnlySpan<float> values)
    {
        var bits = new int[values.Length];
        for (var i = 0; i < bits.Length; i++)
            bits[i] = BitConverter.SingleToInt32Bits(values[i]);
        return bits;
    }
}
