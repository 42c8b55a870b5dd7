using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests.OneHash;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Whatever way a sample comes to a model, the answer is the same to the last bit; and what can't be answered says what kind of thing is in the way.</summary>
[Collection(ClusterTests.Name)]
public sealed class LocalServingTests(ClusterFixture fixture)
{
    private static readonly RawSamples.Array Raw = new([30], TestJobs.Values(30 * 7, 3), []);

    private IModelServing Serving => fixture.Cluster.Serving;

    [Fact]
    public async Task A_trained_model_is_served_by_number_by_label_and_by_itself_raw_and_prepared()
    {
        var first = await TrainAsync("served");
        var second = await TrainAsync("served");
        var expected = await fixture.Cluster.PredictAsync(first, Raw);
        var named = await Serving.PredictAsync(new PredictRequest("served", new ModelInput.Raw(Raw)) { Version = "1" });
        Same(expected, named.Prediction);
        Assert.Equal((await fixture.Cluster.ModelAsync("served", 1)).WeightsSha256, named.WeightsSha256);

        // the newest, until a label says otherwise
        Assert.Equal(second, (await Serving.PredictAsync(new PredictRequest("served", new ModelInput.Raw(Raw)))).Prediction.Version);
        await Serving.LabelAsync("served", ModelLabels.Production, 1);
        await Eventually(async () => Assert.Equal(first, (await Serving.PredictAsync(new PredictRequest("served", new ModelInput.Raw(Raw)))).Prediction.Version));
        await Serving.LabelAsync("served", "mine", 2);
        await Eventually(async () => Assert.Equal(second, (await Serving.PredictAsync(new PredictRequest("served", new ModelInput.Raw(Raw)) { Version = "mine" })).Prediction.Version));

        var shape = (await Serving.VersionAsync("served", "1")).Version.Signature.Shape;
        var spec = Spec("served");
        var prepared = DataPipeline.Load(spec.Data, spec.Training.Seed).Preparation.Prepare(Raw, withTargets: false).Features;
        var alone = await Serving.PredictAsync(new PredictRequest("served", new ModelInput.Prepared(shape, prepared)) { Version = "1" });
        Same(expected, alone.Prediction);

        var served = await Serving.VersionsAsync("served");
        Assert.Equal([1, 2], served.Select(version => version.Id.Version));
        Assert.All(served, version => Assert.Equal(ServingState.Ready, version.State));
        Assert.Equal([[ModelLabels.Production], ["mine"]], served.Select(version => version.Labels));
        Assert.Equal([1, 0], served.Select(version => version.Share));
        Assert.True(served[0].Statistics is { Requests: >= 3, Samples: >= 21, Batches: >= 3 });
        Assert.Equal(["probabilities", "class"], served[0].Outputs.Select(output => output.Name));
        Assert.Equal(30, served[0].Inputs.Count);
        Assert.Contains("TorchSharp", served[0].Version.Libraries.Keys);
    }

    [Fact]
    public async Task What_can_not_be_answered_says_why()
    {
        await TrainAsync("asked");
        await FailsAsync(FailureKind.UnknownModel, new PredictRequest("askd", new ModelInput.Raw(Raw)));
        await FailsAsync(FailureKind.UnknownModel, new PredictRequest("asked", new ModelInput.Raw(Raw)) { Version = "7" });
        await FailsAsync(FailureKind.UnknownModel, new PredictRequest("asked", new ModelInput.Raw(Raw)) { Version = "nobody" });
        await FailsAsync(FailureKind.InvalidInput, new PredictRequest("asked", new ModelInput.Raw(new RawSamples.Array([3], new float[3], []))));
        await FailsAsync(FailureKind.InvalidInput, new PredictRequest("asked", new ModelInput.Prepared([30], new float[31])));
        await FailsAsync(FailureKind.InvalidInput, new PredictRequest("asked", new ModelInput.Raw(Raw)) { Timeout = TimeSpan.Zero });
        await FailsAsync(FailureKind.InvalidInput, new PredictRequest("asked", new ModelInput.Raw(Raw)) { Priority = 10 });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Serving.PredictAsync(new PredictRequest("asked", new ModelInput.Raw(Raw)), new CancellationToken(true)));
    }

    [Fact]
    public async Task A_model_that_was_unloaded_refuses_until_it_is_loaded_again()
    {
        await TrainAsync("parked");
        await Serving.UnloadAsync("parked");
        await Eventually(async () => Assert.True((await FailsAsync(FailureKind.Unavailable, new PredictRequest("parked", new ModelInput.Raw(Raw)))).RetryAfter > TimeSpan.Zero));
        Assert.Equal(ServingState.Unloaded, (await Serving.VersionAsync("parked", null)).State);
        await Serving.LoadAsync("parked");
        await Eventually(() => Serving.PredictAsync(new PredictRequest("parked", new ModelInput.Raw(Raw))));
        Assert.Equal(ServingState.Ready, (await Serving.VersionAsync("parked", null)).State);
        await Assert.ThrowsAsync<PredictionException>(() => Serving.LoadAsync("nobody"));
    }

    [Fact]
    public async Task A_version_that_was_just_asked_is_deleted_only_once_its_model_is_unloaded()
    {
        var version = await TrainAsync("busy");
        await Serving.PredictAsync(new PredictRequest("busy", new ModelInput.Raw(Raw)));
        var refused = await Assert.ThrowsAsync<InputException>(() => fixture.Cluster.DeleteModelAsync("busy", null));
        Assert.StartsWith("is in use: it answers predictions", Assert.Single(refused.Faults).Message, StringComparison.Ordinal);
        await Serving.PredictAsync(new PredictRequest("busy", new ModelInput.Raw(Raw)));
        await Serving.UnloadAsync("busy");
        Assert.Equal([version], await fixture.Cluster.DeleteModelAsync("busy", 1));
    }

    [Fact]
    public async Task Many_samples_go_in_parts_and_come_back_as_one()
    {
        await TrainAsync("large");
        var many = new RawSamples.Array([30], TestJobs.Values(30 * 5000, 5), []);
        var all = (await Serving.PredictAsync(new PredictRequest("large", new ModelInput.Raw(many)))).Prediction;
        Assert.Equal(5000, all.Count);
        var last = await Serving.PredictAsync(new PredictRequest("large", new ModelInput.Raw(many with { Values = many.Values[(30 * 4999)..] })));
        Assert.Equal(all[4999].ToArray(), last.Prediction[0].ToArray());
    }

    private static void Same(Prediction expected, Prediction actual) => Assert.Equal(
        expected.Outputs.ToArray().Select(BitConverter.SingleToInt32Bits), actual.Outputs.ToArray().Select(BitConverter.SingleToInt32Bits));

    private static async Task Eventually(Func<Task> check)
    {
        using var looks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            try
            {
                await check();
                return;
            }
            catch (Exception error) when (error is Xunit.Sdk.XunitException or PredictionException && !patience.IsCancellationRequested)
            {
                await looks.WaitForNextTickAsync();
            }
        }
    }

    private async Task<PredictionException> FailsAsync(FailureKind kind, PredictRequest request)
    {
        var failed = await Assert.ThrowsAsync<PredictionException>(() => Serving.PredictAsync(request));
        Assert.Equal(kind, failed.Kind);
        return failed;
    }

    private async Task<ModelVersionId> TrainAsync(string name) =>
        (await fixture.TrainAsync(Spec(name))).Version;

    private static JobSpec Spec(string name) => TestJobs.Wdbc("mlp", training => training with { Epochs = 1 }, ("hidden", ["8"])) with { Name = name };
}
