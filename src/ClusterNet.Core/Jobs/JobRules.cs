using ClusterNet.Core.Faults;
using ClusterNet.Core.Metrics;

namespace ClusterNet.Core.Jobs;

/// <summary>What must hold between the settings of a job, each of which may be right by itself.</summary>
internal static class JobRules
{
    private static readonly OptimizerSpec _plainOptimizer = new();
    private static readonly ScheduleSpec _plainSchedule = new();
    private static readonly SplitSpec _plainSplit = new(SplitKind.Stratified);

    public static void Apply(JobSpec spec, ICollection<Fault> faults)
    {
        CheckColumns(spec.Data, faults);
        CheckFormat(spec.Data, faults);
        CheckSplit(spec.Data, faults);
        CheckPreparation(spec.Data, faults);
        CheckLength(spec.Training, faults);
        CheckMetric(spec, faults);
        CheckSelection(spec, faults);
        CheckLoss(spec.Training.Loss, spec.Data.Task, faults);
        CheckOptimizer(spec.Training.Optimizer, faults);
        CheckSchedule(spec.Training, faults);
        ConsistencyRules.Apply(spec.Training, faults);
    }

    private static void CheckColumns(DataSpec data, ICollection<Fault> faults)
    {
        if (data.Features.Contains(data.Target))
            faults.Add(new Fault("data.features", $"'{data.Target}' is the target; a model that sees it learns nothing else"));
        foreach (var name in data.Features.Intersect(data.Exclude))
            faults.Add(new Fault("data.exclude", $"'{name}' is among the features as well"));
        if (data.Features.Count > 0)
        {
            foreach (var name in data.Categorical.Except(data.Features))
                faults.Add(new Fault("data.categorical", $"'{name}' is not among the features") { Found = name, Candidates = data.Features });
        }
    }

    private static void CheckFormat(DataSpec data, ICollection<Fault> faults)
    {
        var format = JobWords.Of(JobWords.Formats, data.Format);
        if (data.Format != DataFormat.Csv)
        {
            Refuse("features", data.Features.Count > 0, "csv");
            Refuse("exclude", data.Exclude.Count > 0, "csv");
            Refuse("categorical", data.Categorical.Count > 0, "csv");
            Refuse("csv", data.Csv.Missing is not null || data.Csv != new CsvSpec { Delimiter = data.Csv.Delimiter }, "csv");
        }
        if (data.Format != DataFormat.Npz)
            Refuse("feature-array", data.FeatureArray != "X", "npz");
        if (data.Format != DataFormat.Images)
            Refuse("images", data.Images != new ImageSpec(), "images");
        else if (data.Task == LearningTask.Regression)
            faults.Add(new Fault("data.task", "a folder of images gives classes, the names of its subfolders; regression needs a number for each sample"));

        void Refuse(string name, bool given, string owner)
        {
            if (given)
                faults.Add(new Fault($"data.{name}", $"belongs to the format {owner}; this source is read as {format}"));
        }
    }

    private static void CheckSplit(DataSpec data, ICollection<Fault> faults)
    {
        var split = data.Split;
        var kind = JobWords.Of(JobWords.Splits, split.Kind);
        var byFraction = split.Kind is SplitKind.Random or SplitKind.Stratified or SplitKind.Group;
        if (byFraction && split.Validation + split.Test >= 1)
            Fault("", FormattableString.Invariant($"validation {split.Validation} and test {split.Test} leave nothing to train on: together they must be less than 1"));
        if (!byFraction && (IsOdd(split.Validation, _plainSplit.Validation) || IsOdd(split.Test, _plainSplit.Test)))
            Fault(IsOdd(split.Validation, _plainSplit.Validation) ? ".validation" : ".test", $"a split of kind {kind} takes no fractions");

        var byColumn = split.Kind is SplitKind.Group or SplitKind.Column;
        if (byColumn && string.IsNullOrEmpty(split.Column))
            Fault(".column", $"missing: the column {(split.Kind == SplitKind.Group ? "(csv) or array (npz) that holds the group, e.g. the patient" : "that says train, validation or test")}");
        else if (!byColumn && split.Column is not null)
            Fault(".column", $"belongs to splits of kind group and column, not to {kind}");
        else if (byColumn && split.Column == data.Target)
            Fault(".column", $"'{split.Column}' is the target");
        else if (byColumn && data.Features.Contains(split.Column!))
            Fault(".column", $"'{split.Column}' is among the features: a model may not see what the split goes by");

        if (split.Kind != SplitKind.Group && split.TestGroups.Count > 0)
            Fault(".test-groups", $"belongs to splits of kind group, not to {kind}");
        if (split.Kind != SplitKind.Group && split.ValidationGroups.Count > 0)
            Fault(".validation-groups", $"belongs to splits of kind group, not to {kind}");
        foreach (var group in split.TestGroups.Intersect(split.ValidationGroups))
            Fault(".validation-groups", $"'{group}' is among the test groups as well");

        if (split.Kind == SplitKind.Stratified && data.Task == LearningTask.Regression)
            Fault(".kind", "stratified keeps the proportions of classes; regression has none: take random, group or column");
        if (split.Kind == SplitKind.Arrays && data.Format != DataFormat.Npz)
            Fault(".kind", "arrays is for npz files that hold train_, val_ and test_ arrays");
        if (split.Kind == SplitKind.Column && data.Format != DataFormat.Csv)
            Fault(".kind", "column is for csv files; npz files with train_, val_ and test_ arrays take arrays");
        if (split.Kind == SplitKind.Group && data.Format == DataFormat.Images)
            Fault(".kind", "group is for csv and npz; a folder of images does not say which group a picture is of");

        static bool IsOdd(double fraction, double plain) => fraction != 0 && fraction != plain;

        void Fault(string name, string message) => faults.Add(new Fault($"data.split{name}", message));
    }

    private static void CheckPreparation(DataSpec data, ICollection<Fault> faults)
    {
        for (var i = 0; i < data.Preparation.Count; i++)
        {
            var step = data.Preparation[i];
            var place = $"data.preparation[{i}].{JobWords.Of(JobWords.Preparations, step.Kind)}";
            if (step.Kind == PreparationKind.OneHot && data.Format != DataFormat.Csv)
                faults.Add(new Fault(place, $"one-hot is for columns of a csv file; this source is read as {JobWords.Of(JobWords.Formats, data.Format)}"));
            else if (step.Columns.Count > 0 && data.Format != DataFormat.Csv)
                faults.Add(new Fault($"{place}.columns", $"only csv files have columns; this source is read as {JobWords.Of(JobWords.Formats, data.Format)}"));
            if (step.Kind == PreparationKind.Labels && data.Task == LearningTask.Regression)
                faults.Add(new Fault(place, "labels belong to classification; this job is a regression"));
            if (step.Kind == PreparationKind.Labels && data.Preparation.Take(i).Any(earlier => earlier.Kind == PreparationKind.Labels))
                faults.Add(new Fault(place, "labels stands in the list twice"));
            foreach (var unknown in data.Features.Count == 0 ? [] : step.Columns.Except(data.Features))
                faults.Add(new Fault($"{place}.columns", $"'{unknown}' is not among the features") { Found = unknown, Candidates = data.Features });
        }
    }

    private static void CheckLength(TrainingSpec training, ICollection<Fault> faults)
    {
        if (training is { Epochs: null, Steps: null })
            faults.Add(new Fault("training.epochs", "missing: how long to train, as epochs or as steps"));
        else if (training is { Epochs: not null, Steps: not null })
            faults.Add(new Fault("training.steps", "epochs are given as well; only one of the two can be (an empty value takes a setting back: --set training.epochs=)"));
        if (training.Slices > training.BatchSize)
            faults.Add(new Fault("training.slices", $"{training.Slices} slices can't be cut from a batch of {training.BatchSize}"));
        if (training.Workers > training.Slices)
            faults.Add(new Fault("training.workers", $"{training.Workers} workers can't share {training.Slices} slices: a worker needs at least one"));
    }

    private static void CheckMetric(JobSpec spec, ICollection<Fault> faults)
    {
        if (!MetricNames.IsKnown(spec.Data.Task, spec.Training.Metric))
            faults.Add(Fault.Unknown("training.metric", spec.Training.Metric, MetricNames.ForTask(spec.Data.Task)));
    }

    private static void CheckSelection(JobSpec spec, ICollection<Fault> faults)
    {
        if (spec.Training.Publish is not null && spec.Training.Select != VersionSelection.Best)
            faults.Add(new Fault("training.publish", "hands over what is the best so far: take select: best, and a split with validation"));
        if (JobReader.HasValidation(spec.Data.Split))
            return;
        if (spec.Training.Select == VersionSelection.Best)
            faults.Add(new Fault("training.select", "best goes by the validation part, and the split leaves none: take last, or a split with validation"));
        if (spec.Training.EarlyStopping is not null)
            faults.Add(new Fault("training.early-stopping", "goes by the validation part, and the split leaves none"));
    }

    private static void CheckLoss(LossSpec loss, LearningTask task, ICollection<Fault> faults)
    {
        var fitting = task == LearningTask.Classification
            ? new[] { LossKind.CrossEntropy, LossKind.BinaryCrossEntropy, LossKind.Mse }
            : [LossKind.Mse, LossKind.Mae, LossKind.Huber];
        var kind = loss.Kind ?? fitting[0];
        if (!fitting.Contains(kind))
        {
            Fault(".kind", $"{JobWords.Of(JobWords.Losses, kind)} does not fit {JobWords.Of(JobWords.Tasks, task)}: "
                + $"take {string.Join(", ", fitting.Select(fit => JobWords.Of(JobWords.Losses, fit)))}");
        }
        if (loss.LabelSmoothing > 0 && kind != LossKind.CrossEntropy)
            Fault(".label-smoothing", $"belongs to cross-entropy, not to {JobWords.Of(JobWords.Losses, kind)}");
        if (loss.Delta != 1.0 && kind != LossKind.Huber)
            Fault(".delta", $"belongs to huber, not to {JobWords.Of(JobWords.Losses, kind)}");
        if (task == LearningTask.Regression && (loss.BalancedClassWeights || loss.ClassWeights.Count > 0))
            Fault(".class-weights", "belong to classification; this job is a regression");

        void Fault(string name, string message) => faults.Add(new Fault($"training.loss{name}", message));
    }

    private static void CheckOptimizer(OptimizerSpec optimizer, ICollection<Fault> faults)
    {
        Only("momentum", optimizer.Momentum != 0, OptimizerKind.Sgd, OptimizerKind.RmsProp);
        Only("dampening", optimizer.Dampening != 0, OptimizerKind.Sgd);
        Only("nesterov", optimizer.Nesterov, OptimizerKind.Sgd);
        Only("beta1", optimizer.Beta1 != _plainOptimizer.Beta1, OptimizerKind.Adam, OptimizerKind.AdamW, OptimizerKind.Lamb);
        Only("beta2", optimizer.Beta2 != _plainOptimizer.Beta2, OptimizerKind.Adam, OptimizerKind.AdamW, OptimizerKind.Lamb);
        Only("alpha", optimizer.Alpha != _plainOptimizer.Alpha, OptimizerKind.RmsProp);
        Only("centered", optimizer.Centered, OptimizerKind.RmsProp);
        Only("initial-accumulator", optimizer.InitialAccumulator != 0, OptimizerKind.Adagrad);
        Only("learning-rate-decay", optimizer.LearningRateDecay != 0, OptimizerKind.Adagrad);
        Only("epsilon", optimizer.Epsilon is not null, [.. JobWords.Optimizers.Values.Where(kind => kind != OptimizerKind.Sgd)]);
        if (optimizer is { Kind: OptimizerKind.Sgd, Nesterov: true } and ({ Momentum: 0 } or { Dampening: > 0 }))
            faults.Add(new Fault("training.optimizer.nesterov", "needs a momentum above 0 and no dampening"));

        void Only(string name, bool given, params ReadOnlySpan<OptimizerKind> owners)
        {
            if (!given || owners.Contains(optimizer.Kind))
                return;
            var words = string.Join(", ", owners.ToArray().Select(owner => JobWords.Of(JobWords.Optimizers, owner)));
            faults.Add(new Fault($"training.optimizer.{name}", $"{JobWords.Of(JobWords.Optimizers, optimizer.Kind)} has none; it belongs to {words}"));
        }
    }

    private static void CheckSchedule(TrainingSpec training, ICollection<Fault> faults)
    {
        var schedule = training.Schedule;
        var kind = JobWords.Of(JobWords.Schedules, schedule.Kind);
        if (schedule.Kind != ScheduleKind.Step && schedule.Every != _plainSchedule.Every)
            Fault("every", $"belongs to the schedule step, not to {kind}");
        if (schedule.Kind != ScheduleKind.Step && schedule.Gamma != _plainSchedule.Gamma)
            Fault("gamma", $"belongs to the schedule step, not to {kind}");
        if (schedule.Kind is not (ScheduleKind.Cosine or ScheduleKind.Linear) && schedule.FinalFactor != 0)
            Fault("final-factor", $"belongs to the schedules cosine and linear, not to {kind}");
        if (training.Steps is { } steps && schedule.WarmupSteps >= steps)
            Fault("warmup-steps", $"{schedule.WarmupSteps} steps of warm-up are all of the {steps} steps there are");

        void Fault(string name, string message) => faults.Add(new Fault($"training.schedule.{name}", message));
    }
}
