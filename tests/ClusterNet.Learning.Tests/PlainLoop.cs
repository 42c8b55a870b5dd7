using System.Runtime.InteropServices;
using System.Security.Cryptography;
using ClusterNet.Core.Codecs;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Optimizers;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;

namespace ClusterNet.Learning.Tests;

/// <summary>
/// A whole training job in one loop: Core's plan, tree and update rule over one shard, without any actor, message or checkpoint. What a cluster of any shape must end with.
/// </summary>
public static class PlainLoop
{
    /// <summary>Trains to the end of the job, or to where early stopping ends it.</summary>
    public static PlainResult Train(JobSpec job, PreparedData data, ModelCatalog? catalog = null)
    {
        ArgumentNullException.ThrowIfNull(job);
        ArgumentNullException.ThrowIfNull(data);
        var training = job.Training;
        var signature = data.Preparation.Signature;
        using var model = (catalog ?? new ModelCatalog(ModelCatalog.BuiltIn)).Build(job.Model, training.Loss, signature, training.Seed, training.ThreadsPerWorker);
        using var loss = new LossFunction(training.Loss, signature, LossFunction.ClassCounts(data.Training, signature.Classes.Count));
        using var computer = new GradientComputer(model, loss, data.Training);
        using var evaluator = new Evaluator(model, loss);
        var plan = BatchPlan.Of(training, data.Training.Count);
        var steps = plan.TotalSteps(training);
        var pool = new TensorBufferPool(model.Layout.Length);
        var updater = new ShardUpdater(training, steps, model.Layout, new ShardRange(0, model.Layout.Length));
        var updated = new float[model.Layout.Length];
        var best = new Best(training);
        var losses = new Losses(training, pool);
        long step = 0;
        while (step < steps && !best.Stops)
        {
            Step(step, plan, computer, pool, updater, model, updated, losses);
            step++;
            if (data.Validation.Count > 0 && (step % plan.StepsPerEpoch == 0 || step == steps))
                best.Offer(evaluator.Evaluate(data.Validation).Report(), model.Weights);
        }
        return new PlainResult(step, [.. model.Weights], best.Weights ?? [.. model.Weights]);
    }

    /// <summary>Lower-case hexadecimal SHA-256 of little-endian float32.</summary>
    public static string Sha256(ReadOnlySpan<float> weights) => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(weights)));

    private static void Step(
        long step, BatchPlan plan, GradientComputer computer, TensorBufferPool pool, ShardUpdater updater, TrainableModel model, float[] updated, Losses losses)
    {
        float[] current = [.. model.Weights];
        losses.RoundWeights(model.Weights);
        var tree = new ReductionTree(plan.Slices, pool);
        for (var slice = 0; slice < plan.Slices; slice++)
        {
            var buffer = pool.Rent();
            var statistics = computer.Compute(step, slice, plan.Slice(step, slice), buffer.Memory);
            losses.Gradient(slice, buffer.Span);
            tree.Offer(new TreeNode(0, slice), new ReductionTree.Part(buffer, 0, pool.Length, statistics));
        }
        updater.Begin(step, tree.Root.Memory, tree.Root.Statistics.Weight, current, updated);
        while (updater.NeedsNorms)
            updater.Combine([updater.Partials()]);
        tree.Clear();
        updated.CopyTo(model.Weights);
    }

    /// <summary>What codecs lose on the way to the shards and back.</summary>
    private sealed class Losses(TrainingSpec training, TensorBufferPool pool)
    {
        private readonly IGradientCodec? _codec = GradientCodecs.Of(training);
        private readonly float[][] _residuals = [.. Enumerable.Range(0, training.Slices).Select(_ => new float[pool.Length])];

        public void RoundWeights(Span<float> weights)
        {
            if (training.PullCodec == WeightCodec.Bf16)
                Bf16.Round(weights);
        }

        public void Gradient(int slice, Span<float> gradient)
        {
            if (_codec is null)
                return;
            var words = new float[_codec.Words(gradient.Length)];
            _codec.Encode(gradient, _residuals[slice], _residuals[slice], words);
            Assert.True(_codec.TryDecode(words, gradient));
        }
    }

    private sealed class Best(TrainingSpec training)
    {
        private double _stoppingValue = double.NaN;
        private double _value = double.NaN;
        private int _epochsWithout;

        public float[]? Weights { get; private set; }

        public bool Stops => training.EarlyStopping is { } stopping && _epochsWithout >= stopping.Patience;

        public void Offer(MetricReport report, ReadOnlySpan<float> weights)
        {
            var value = report.Values[training.Metric];
            if (IsBetter(value, _value, 0))
            {
                _value = value;
                if (training.Select == VersionSelection.Best)
                    Weights = [.. weights];
            }
            if (IsBetter(value, _stoppingValue, training.EarlyStopping?.MinDelta ?? 0))
                (_stoppingValue, _epochsWithout) = (value, 0);
            else
                _epochsWithout++;
        }

        private bool IsBetter(double value, double than, double by) =>
            double.IsNaN(than) || (MetricNames.HigherIsBetter(training.Metric) ? value > than + by : value < than - by);
    }
}

/// <summary>What a plain loop ends with.</summary>
/// <param name="Steps">done</param>
/// <param name="Last">the weights of the last step</param>
/// <param name="Selected">the weights that the job's selection rule would register</param>
public sealed record PlainResult(long Steps, float[] Last, float[] Selected)
{
    /// <summary>Hash of <see cref="Last"/>.</summary>
    public string LastSha256 => PlainLoop.Sha256(Last);

    /// <summary>Hash of <see cref="Selected"/>.</summary>
    public string SelectedSha256 => PlainLoop.Sha256(Selected);
}
