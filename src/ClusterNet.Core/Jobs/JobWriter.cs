using System.Globalization;

namespace ClusterNet.Core.Jobs;

/// <summary>Turns a <see cref="JobSpec"/> into the settings of a job file that says everything: the inverse of <see cref="JobReader"/>.</summary>
public static class JobWriter
{
    /// <summary>The settings, all of them, defaults too; what is null is left out. Sources stand as they are in the spec.</summary>
    /// <exception cref="ArgumentException">a setting of the model is named <c>kind</c> or <c>initialisation</c></exception>
    public static SettingValue.Map Write(JobSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        return new Entries
        {
            { "name", spec.Name },
            { "data", Write(spec.Data) },
            { "model", Write(spec.Model) },
            { "training", Write(spec.Training) },
        }.ToMap();
    }

    private static SettingValue.Map Write(DataSpec data) => new Entries
    {
        { "source", data.Source },
        { "format", JobWords.Of(JobWords.Formats, data.Format) },
        { "task", JobWords.Of(JobWords.Tasks, data.Task) },
        { "target", data.Target },
        { "features", data.Features },
        { "exclude", data.Exclude },
        { "categorical", data.Categorical },
        { "feature-array", data.FeatureArray },
        { "shape", Texts(data.Shape.Select(axis => axis.ToString(CultureInfo.InvariantCulture))) },
        {
            "csv", new Entries
            {
                { "delimiter", Character(data.Csv.Delimiter) },
                { "header", data.Csv.Header },
                { "quote", Character(data.Csv.Quote) },
                { "missing", data.Csv.Missing is { } marks ? Texts(marks) : null },
            }.ToMap()
        },
        { "images", new Entries { { "height", data.Images.Height }, { "width", data.Images.Width }, { "channels", data.Images.Channels } }.ToMap() },
        {
            "split", new Entries
            {
                { "kind", JobWords.Of(JobWords.Splits, data.Split.Kind) },
                { "validation", data.Split.Validation },
                { "test", data.Split.Test },
                { "seed", data.Split.Seed },
                { "column", data.Split.Column },
                { "test-groups", data.Split.TestGroups },
                { "validation-groups", data.Split.ValidationGroups },
            }.ToMap()
        },
        { "preparation", new SettingValue.List([.. data.Preparation.Select(Write)]) },
    }.ToMap();

    private static SettingValue.Map Write(PreparationSpec step)
    {
        var entries = new Entries();
        if (step.Kind == PreparationKind.Impute)
            entries.Add("strategy", JobWords.Of(JobWords.Strategies, step.Strategy));
        if (step.Kind is PreparationKind.Impute or PreparationKind.Scale)
            entries.Add(step.Kind == PreparationKind.Impute ? "value" : "by", step.Value);
        if (step.Kind == PreparationKind.MinMax)
            entries.Add("range", Texts([JobReader.Number(step.Range.Low), JobReader.Number(step.Range.High)]));
        if (step.Kind == PreparationKind.Labels)
            entries.Add("classes", step.Labels);
        else
            entries.Add("columns", step.Columns);
        return new Entries { { JobWords.Of(JobWords.Preparations, step.Kind), entries.ToMap() } }.ToMap();
    }

    internal static SettingValue.Map Write(ModelSpec model)
    {
        var entries = new Entries
        {
            { "kind", model.Kind },
            {
                "initialisation", new Entries
                {
                    { "kind", JobWords.Of(JobWords.Initialisations, model.Initialisation.Kind) },
                    { "gain", model.Initialisation.Gain },
                }.ToMap()
            },
        };
        foreach (var (name, value) in model.Settings)
            entries.Add(name, value);
        return entries.ToMap();
    }

    internal static SettingValue.Map Write(TrainingSpec training) => new Entries
    {
        { "optimizer", Write(training.Optimizer) },
        {
            "schedule", new Entries
            {
                { "kind", JobWords.Of(JobWords.Schedules, training.Schedule.Kind) },
                { "warmup-steps", training.Schedule.WarmupSteps },
                { "every", training.Schedule.Every },
                { "gamma", training.Schedule.Gamma },
                { "final-factor", training.Schedule.FinalFactor },
            }.ToMap()
        },
        { "loss", Write(training.Loss) },
        { "clip", new Entries { { "value", training.Clip.Value }, { "norm", training.Clip.Norm } }.ToMap() },
        { "batch-size", training.BatchSize },
        { "epochs", training.Epochs },
        { "steps", training.Steps },
        { "seed", training.Seed },
        { "slices", training.Slices },
        { "workers", training.Workers },
        { "shards", training.Shards },
        { "threads-per-worker", training.ThreadsPerWorker },
        { "consistency", JobWords.Of(JobWords.Modes, training.Consistency) },
        { "staleness", training.Staleness },
        { "backup-workers", training.BackupWorkers },
        { "codec", JobWords.Of(JobWords.GradientCodecs, training.Codec) },
        { "top-k", training.TopK },
        { "pull-codec", JobWords.Of(JobWords.WeightCodecs, training.PullCodec) },
        { "checkpoint", new Entries { { "every", training.Checkpoint.Every }, { "keep", training.Checkpoint.Keep } }.ToMap() },
        {
            "early-stopping", training.EarlyStopping is { } stopping
                ? new Entries { { "patience", stopping.Patience }, { "min-delta", stopping.MinDelta } }.ToMap()
                : null
        },
        { "select", JobWords.Of(JobWords.Selections, training.Select) },
        { "metric", training.Metric },
        { "publish", training.Publish is { } publish ? new Entries { { "when", PublishSpec.EveryCheckpoint }, { "label", publish.Label } }.ToMap() : null },
    }.ToMap();

    private static SettingValue.Map Write(OptimizerSpec optimizer) => new Entries
    {
        { "kind", JobWords.Of(JobWords.Optimizers, optimizer.Kind) },
        { "learning-rate", optimizer.LearningRate },
        { "momentum", optimizer.Momentum },
        { "dampening", optimizer.Dampening },
        { "nesterov", optimizer.Nesterov },
        { "beta1", optimizer.Beta1 },
        { "beta2", optimizer.Beta2 },
        { "alpha", optimizer.Alpha },
        { "epsilon", optimizer.Epsilon },
        { "centered", optimizer.Centered },
        { "initial-accumulator", optimizer.InitialAccumulator },
        { "learning-rate-decay", optimizer.LearningRateDecay },
        { "weight-decay", optimizer.WeightDecay },
        { "decoupled-weight-decay", optimizer.DecoupledWeightDecay is { } decoupled ? Truth(decoupled) : null },
    }.ToMap();

    internal static SettingValue.Map Write(LossSpec loss)
    {
        var entries = new Entries { { "kind", loss.Kind is { } kind ? JobWords.Of(JobWords.Losses, kind) : null } };
        if (loss.BalancedClassWeights)
            entries.Add("class-weights", "balanced");
        else if (loss.ClassWeights.Count > 0)
            entries.Add("class-weights", new SettingValue.Map(loss.ClassWeights.ToDictionary(pair => pair.Key, pair => (SettingValue)Scalar(JobReader.Number(pair.Value)))));
        entries.Add("label-smoothing", loss.LabelSmoothing);
        entries.Add("delta", loss.Delta);
        return entries.ToMap();
    }

    private static SettingValue.Scalar Scalar(string text) => new(text);

    private static SettingValue.Scalar Truth(bool value) => Scalar(value ? "true" : "false");

    private static SettingValue.List Texts(IEnumerable<string> texts) => new([.. texts.Select(Scalar)]);

    private static string Character(char value) => value switch
    {
        '\t' => "tab",
        ' ' => "space",
        _ => value.ToString(),
    };

    private sealed class Entries : System.Collections.IEnumerable
    {
        private readonly Dictionary<string, SettingValue> _values = new(StringComparer.Ordinal);

        public void Add(string name, SettingValue? value)
        {
            if (value is not null)
                _values.Add(name, value);
        }

        public void Add(string name, string? text) => Add(name, text is null ? null : Scalar(text));

        public void Add(string name, IReadOnlyList<string> texts) => Add(name, Texts(texts));

        public void Add(string name, long? value) => Add(name, value?.ToString(CultureInfo.InvariantCulture));

        public void Add(string name, double? value) => Add(name, value is { } number ? JobReader.Number(number) : null);

        public void Add(string name, double value) => Add(name, JobReader.Number(value));

        public void Add(string name, long value) => Add(name, (long?)value);

        public void Add(string name, int? value) => Add(name, (long?)value);

        public void Add(string name, int value) => Add(name, (long?)value);

        public void Add(string name, bool value) => Add(name, Truth(value));

        public SettingValue.Map ToMap() => new(_values);

        public System.Collections.IEnumerator GetEnumerator() => _values.GetEnumerator();
    }
}
