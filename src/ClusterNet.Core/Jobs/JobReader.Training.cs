using System.Globalization;
using System.Numerics;
using ClusterNet.Core.Metrics;

namespace ClusterNet.Core.Jobs;

public static partial class JobReader
{
    private const int DefaultSlices = 4;
    private const int MaxBatch = 1 << 20;
    private const int MaxEpochs = 1_000_000;
    private const long MaxTrainingSteps = 1_000_000_000;

    // a training that was stored by itself comes without its data
    private static TrainingSpec ReadTraining(SettingReader reader, DataSpec? data)
    {
        var batchSize = reader.Integer("batch-size", 32, 1, MaxBatch);
        // The default may not depend on the number of workers: the same job must end with the same weights however many share it.
        var slices = reader.Integer("slices", Math.Min(DefaultSlices, 1 << BitOperations.Log2((uint)batchSize)), 1, 1024);
        if (!int.IsPow2(slices))
            reader.Fault("slices", $"{slices} is not a power of two: {1 << BitOperations.Log2((uint)slices)} or {2 << BitOperations.Log2((uint)slices)}");
        var training = new TrainingSpec
        {
            Optimizer = ReadOptimizer(SectionOrWord(reader, "optimizer", "kind")),
            Schedule = ReadSchedule(SectionOrWord(reader, "schedule", "kind")),
            Loss = ReadLoss(SectionOrWord(reader, "loss", "kind")),
            Clip = ReadClip(SectionOrNone(reader, "clip")),
            BatchSize = batchSize,
            Epochs = reader.Has("epochs") ? reader.Integer("epochs", 1, 1, MaxEpochs) : null,
            Steps = reader.Has("steps") ? reader.Integer("steps", 1L, MaxTrainingSteps) ?? 1 : null,
            Seed = reader.Integer("seed", 0L) ?? 1,
            Slices = slices,
            Workers = reader.Integer("workers", 1, 1, 1024),
            Shards = reader.Has("shards") ? reader.Integer("shards", 1, 1, 4096) : null,
            ThreadsPerWorker = reader.Integer("threads-per-worker", 1, 1, 256),
            Consistency = reader.Choice("consistency", ConsistencyMode.Bsp, JobWords.Modes),
            Staleness = reader.Integer("staleness", 3, 0, 1_000_000),
            BackupWorkers = reader.Integer("backup-workers", 0, 0, 1024),
            Codec = reader.Choice("codec", GradientCodec.Fp32, JobWords.GradientCodecs),
            TopK = Positive(reader, "top-k", 0.01, 1),
            PullCodec = reader.Choice("pull-codec", WeightCodec.Fp32, JobWords.WeightCodecs),
            Checkpoint = ReadCheckpoint(Section(reader, "checkpoint")),
            EarlyStopping = SectionOrNone(reader, "early-stopping") is { } section ? ReadEarlyStopping(section) : null,
            Select = reader.Choice("select", data is null || HasValidation(data.Split) ? VersionSelection.Best : VersionSelection.Last, JobWords.Selections),
            Metric = reader.Text("metric", MetricNames.Loss)!,
            Publish = !reader.Has("publish") || reader.Raw("publish") is SettingValue.Scalar { Text: "none" } ? null : ReadPublish(SectionOrWord(reader, "publish", "when")),
        };
        reader.Finish();
        return training;
    }

    /// <summary>Whether the split leaves samples for validation, as far as that can be told before the data is read.</summary>
    internal static bool HasValidation(SplitSpec split) => split.Kind switch
    {
        SplitKind.None => false,
        SplitKind.Column or SplitKind.Arrays => true,
        SplitKind.Group => split.Validation > 0 || split.ValidationGroups.Count > 0,
        _ => split.Validation > 0,
    };

    private static PublishSpec ReadPublish(SettingReader reader)
    {
        if (reader.Text("when", PublishSpec.EveryCheckpoint) is var when && when != PublishSpec.EveryCheckpoint)
            reader.Fault("when", $"'{when}' is not known: '{PublishSpec.EveryCheckpoint}', or leave 'publish' out");
        var label = reader.Text("label", PublishSpec.DefaultLabel)!;
        if (!PublishSpec.IsLabel(label))
            reader.Fault("label", $"'{label}' can't be a label: up to {PublishSpec.MaxLabel} letters, digits, '.', '_', '-', the first a letter");
        reader.Finish();
        return new PublishSpec(label);
    }

    private static OptimizerSpec ReadOptimizer(SettingReader reader)
    {
        var optimizer = new OptimizerSpec
        {
            Kind = reader.Choice("kind", OptimizerKind.Adam, JobWords.Optimizers),
            LearningRate = Positive(reader, "learning-rate", 1e-3, 1000),
            Momentum = reader.Number("momentum", 0, 0, 1),
            Dampening = reader.Number("dampening", 0, 0, 1),
            Nesterov = reader.Truth("nesterov", false),
            Beta1 = BelowOne(reader, "beta1", 0.9),
            Beta2 = BelowOne(reader, "beta2", 0.999),
            Alpha = BelowOne(reader, "alpha", 0.99),
            Epsilon = Positive(reader, "epsilon", 1),
            Centered = reader.Truth("centered", false),
            InitialAccumulator = reader.Number("initial-accumulator", 0, 0, 1e12),
            LearningRateDecay = reader.Number("learning-rate-decay", 0, 0, 1e6),
            WeightDecay = reader.Number("weight-decay", 0, 1000),
            DecoupledWeightDecay = reader.Truth("decoupled-weight-decay"),
        };
        reader.Finish();
        return optimizer;
    }

    private static double BelowOne(SettingReader reader, string name, double fallback)
    {
        var value = reader.Number(name, fallback, 0, 1);
        if (value < 1)
            return value;
        reader.Fault(name, "1 is out of range: less than 1, or nothing would ever change");
        return fallback;
    }

    private static ScheduleSpec ReadSchedule(SettingReader reader)
    {
        var schedule = new ScheduleSpec
        {
            Kind = reader.Choice("kind", ScheduleKind.Constant, JobWords.Schedules),
            WarmupSteps = reader.Integer("warmup-steps", 0L, MaxTrainingSteps) ?? 0,
            Every = reader.Integer("every", 1L, MaxTrainingSteps) ?? 1000,
            Gamma = Positive(reader, "gamma", 0.1, 1),
            FinalFactor = reader.Number("final-factor", 0, 0, 1),
        };
        reader.Finish();
        return schedule;
    }

    private static LossSpec ReadLoss(SettingReader reader)
    {
        var weights = reader.Raw("class-weights");
        var loss = new LossSpec
        {
            Kind = reader.Choice("kind", JobWords.Losses),
            BalancedClassWeights = weights is SettingValue.Scalar { Text: "balanced" },
            ClassWeights = ReadClassWeights(reader, weights),
            LabelSmoothing = reader.Number("label-smoothing", 0, 0, 1),
            Delta = Positive(reader, "delta", 1.0, 1e6),
        };
        reader.Finish();
        return loss;
    }

    private static Dictionary<string, double> ReadClassWeights(SettingReader reader, SettingValue? value)
    {
        var weights = new Dictionary<string, double>(StringComparer.Ordinal);
        switch (value)
        {
            case null or SettingValue.Scalar { Text: "balanced" or "none" }:
                break;
            case SettingValue.Map { Entries.Count: <= 10_000 } map:
                var section = new SettingReader(map.Entries, reader.PathOf("class-weights"), reader.Faults);
                foreach (var label in map.Entries.Keys)
                    weights[label] = Positive(section, label, 1.0, 1e6);
                break;
            default:
                reader.Fault("class-weights", "balanced, none, or weights by class label belong here: {malignant: 2}");
                break;
        }
        return weights;
    }

    private static ClipSpec ReadClip(SettingReader? reader)
    {
        if (reader is null)
            return new ClipSpec();
        var clip = new ClipSpec(Positive(reader, "value", 1e12), Positive(reader, "norm", 1e12));
        reader.Finish();
        return clip;
    }

    private static CheckpointSpec ReadCheckpoint(SettingReader reader)
    {
        var checkpoint = new CheckpointSpec(reader.Integer("every", 0L, MaxTrainingSteps) ?? 200, reader.Integer("keep", 2, 1, 100));
        reader.Finish();
        return checkpoint;
    }

    private static EarlyStoppingSpec ReadEarlyStopping(SettingReader reader)
    {
        if (!reader.Has("patience"))
            reader.Fault("patience", "missing: how many epochs without an improvement to wait for, e.g. 10");
        var stopping = new EarlyStoppingSpec(reader.Integer("patience", 10, 1, MaxEpochs), reader.Number("min-delta", 0, 0, 1e12));
        reader.Finish();
        return stopping;
    }

    internal static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
