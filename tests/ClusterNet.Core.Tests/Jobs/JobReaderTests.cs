using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Tests.Jobs;

/// <summary>A job file becomes exactly the job it describes, or all that is wrong with it at once.</summary>
public sealed class JobReaderTests
{
    private static SettingValue.Scalar S(string text) => new(text);

    private static SettingValue.List L(params string[] items) => new([.. items.Select(S)]);

    private static SettingValue.Map M(params (string Name, SettingValue Value)[] entries) => new(entries.ToDictionary(entry => entry.Name, entry => entry.Value));

    private static SettingValue.Map Job(SettingValue.Map? training = null, SettingValue.Map? data = null, SettingValue.Map? model = null) => M(
        ("name", S("job")),
        ("data", Merge(M(("source", S("builtin:wdbc"))), data)),
        ("model", Merge(M(("kind", S("mlp")), ("hidden", L("4"))), model)),
        ("training", Merge(M(("epochs", S("2"))), training)));

    private static SettingValue.Map Merge(SettingValue.Map first, SettingValue.Map? second)
    {
        var entries = new Dictionary<string, SettingValue>(first.Entries);
        foreach (var (name, value) in second?.Entries ?? new Dictionary<string, SettingValue>())
            entries[name] = value;
        return new SettingValue.Map(entries);
    }

    private static IReadOnlyList<Fault> Faults(SettingValue.Map root) =>
        Assert.Throws<InputException>(() => JobReader.Read(root, AppContext.BaseDirectory)).Faults;

    private static JobSpec Read(SettingValue.Map root) => JobReader.Read(root, AppContext.BaseDirectory);

    [Fact]
    public void A_job_that_says_little_gets_the_documented_defaults()
    {
        var spec = Read(Job());
        Assert.Equal(DataFormat.Csv, spec.Data.Format);
        Assert.Equal(SplitKind.Stratified, spec.Data.Split.Kind);
        Assert.Equal(new TrainingSpec { Epochs = 2 }.BatchSize, spec.Training.BatchSize);
        Assert.Equal(4, spec.Training.Slices);
        Assert.Null(spec.Training.Shards);
        Assert.Equal(VersionSelection.Best, spec.Training.Select);
        Assert.Equal("mlp", spec.Model.Kind);
        Assert.Equal(["hidden"], spec.Model.Settings.Keys);
    }

    [Fact]
    public void Every_setting_reaches_its_place()
    {
        var spec = Read(Job(
            M(
                ("optimizer", M(("kind", S("sgd")), ("learning-rate", S("0.1")), ("momentum", S("0.9")), ("nesterov", S("true")), ("weight-decay", S("0.01")))),
                ("schedule", M(("kind", S("step")), ("warmup-steps", S("5")), ("every", S("7")), ("gamma", S("0.5")))),
                ("loss", M(("kind", S("cross-entropy")), ("class-weights", M(("0", S("2.5")))), ("label-smoothing", S("0.1")))),
                ("clip", M(("value", S("3")), ("norm", S("4")))),
                ("batch-size", S("64")), ("seed", S("11")), ("slices", S("8")), ("workers", S("2")), ("shards", S("3")), ("threads-per-worker", S("2")),
                ("checkpoint", M(("every", S("9")), ("keep", S("5")))),
                ("early-stopping", M(("patience", S("6")), ("min-delta", S("0.25")))),
                ("select", S("last"))),
            M(
                ("task", S("classification")), ("target", S("y")), ("features", L("a", "b")), ("categorical", S("b")), ("shape", L("2", "1")),
                ("csv", M(("delimiter", S(";")), ("header", S("false")), ("quote", S("'")), ("missing", L("", "-9")))),
                ("split", M(("kind", S("group")), ("column", S("patient")), ("seed", S("3")), ("test-groups", L("p1")), ("validation-groups", L("p2", "p3")))),
                ("preparation", new SettingValue.List([
                    M(("impute", M(("strategy", S("constant")), ("value", S("0")), ("columns", S("a"))))),
                    S("standardize"),
                    M(("min-max", M(("range", L("-1", "1"))))),
                    M(("one-hot", L("b"))),
                    M(("labels", L("no", "yes"))),
                    M(("scale", S("255"))),
                    M(("impute", S("median")))]))),
            M(("initialisation", M(("kind", S("normal")), ("gain", S("0.5")))), ("own", M(("deep", L("x")))))));

        Assert.Equal(new OptimizerSpec { Kind = OptimizerKind.Sgd, LearningRate = 0.1, Momentum = 0.9, Nesterov = true, WeightDecay = 0.01 }, spec.Training.Optimizer);
        Assert.Equal(new ScheduleSpec { Kind = ScheduleKind.Step, WarmupSteps = 5, Every = 7, Gamma = 0.5 }, spec.Training.Schedule);
        Assert.Equal((LossKind.CrossEntropy, 0.1, 2.5), (spec.Training.Loss.Kind!.Value, spec.Training.Loss.LabelSmoothing, spec.Training.Loss.ClassWeights["0"]));
        Assert.Equal(new ClipSpec(3, 4), spec.Training.Clip);
        Assert.Equal((64, 11L, 8, 2, 3, 2), (spec.Training.BatchSize, spec.Training.Seed, spec.Training.Slices, spec.Training.Workers, spec.Training.Shards, spec.Training.ThreadsPerWorker));
        Assert.Equal(new CheckpointSpec(9, 5), spec.Training.Checkpoint);
        Assert.Equal(new EarlyStoppingSpec(6, 0.25), spec.Training.EarlyStopping);
        Assert.Equal(VersionSelection.Last, spec.Training.Select);
        Assert.Equal((';', false, '\''), (spec.Data.Csv.Delimiter, spec.Data.Csv.Header, spec.Data.Csv.Quote));
        Assert.Equal(["", "-9"], spec.Data.Csv.MissingMarks);
        Assert.Equal(("y", "patient", 3L), (spec.Data.Target, spec.Data.Split.Column, spec.Data.Split.Seed!.Value));
        Assert.Equal(["p2", "p3"], spec.Data.Split.ValidationGroups);
        Assert.Equal([2, 1], spec.Data.Shape);
        Assert.Equal(
            [PreparationKind.Impute, PreparationKind.Standardize, PreparationKind.MinMax, PreparationKind.OneHot, PreparationKind.Labels, PreparationKind.Scale, PreparationKind.Impute],
            spec.Data.Preparation.Select(step => step.Kind));
        Assert.Equal((-1.0, 1.0), spec.Data.Preparation[2].Range);
        Assert.Equal(["b"], spec.Data.Preparation[3].Columns);
        Assert.Equal(["no", "yes"], spec.Data.Preparation[4].Labels);
        Assert.Equal("255", spec.Data.Preparation[5].Value);
        Assert.Equal(ImputeStrategy.Median, spec.Data.Preparation[6].Strategy);
        Assert.Equal(new InitialisationSpec(InitialisationKind.Normal, 0.5), spec.Model.Initialisation);
        Assert.Equal(["hidden", "own"], spec.Model.Settings.Keys.Order());
    }

    [Fact]
    public void All_faults_are_reported_at_once_with_their_paths()
    {
        var faults = Faults(M(
            ("name", S("no spaces please")),
            ("data", M(("source", S("builtin:wdcb")), ("task", S("guess")))),
            ("modle", M()),
            ("training", M(("optimizer", M(("kind", S("adm")), ("lr", S("1")))), ("batch-size", S("many"))))));
        Assert.Equal(
            ["data.source", "data.task", "model", "modle", "name", "training.batch-size", "training.epochs", "training.optimizer.kind", "training.optimizer.lr"],
            faults.Select(fault => fault.Place).Order(StringComparer.Ordinal));
        Assert.Contains("sgd, adam, adamw", Assert.Single(faults, fault => fault.Place == "training.optimizer.kind").Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string, string> TrainingFaults => new()
    {
        { "slices", "3", "training.slices" },
        { "slices", "2048", "training.slices" },
        { "slices", "64", "training.slices" },
        { "workers", "8", "training.workers" },
        { "shards", "5000", "training.shards" },
        { "steps", "5", "training.steps" },
        { "epochs", "0", "training.epochs" },
        { "seed", "-1", "training.seed" },
        { "seed", "1.5", "training.seed" },
        { "batch-size", "99999999999999999999", "training.batch-size" },
        { "select", "first", "training.select" },
        { "loss", "mae", "training.loss.kind" },
        { "optimizer", "adan", "training.optimizer.kind" },
        { "early-stopping", "soon", "training.early-stopping" },
        { "clip", "1", "training.clip" },
        { "checkpoint", "often", "training.checkpoint" },
        { "metric", "acuracy", "training.metric" },
        { "metric", "r2", "training.metric" },
        { "metric", "recall/x", "training.metric" },
        { "consistency", "sps", "training.consistency" },
        { "staleness", "5", "training.staleness" },
        { "backup-workers", "2", "training.backup-workers" },
        { "codec", "bf-16", "training.codec" },
        { "top-k", "0.1", "training.top-k" },
        { "top-k", "1.1", "training.top-k" },
        { "pull-codec", "int8", "training.pull-codec" },
    };

    [Theory]
    [MemberData(nameof(TrainingFaults))]
    public void A_wrong_training_setting_is_named(string name, string value, string place) =>
        Assert.Equal(place, Assert.Single(Faults(Job(M((name, S(value)))))).Place);

    [Theory]
    [InlineData("ssp", "backup-workers", "1", "training.backup-workers")]
    [InlineData("asp", "codec", "int8", "training.codec")]
    [InlineData("asp", "staleness", "2", "training.staleness")]
    [InlineData("ssp", "optimizer", "lamb", "training.optimizer.kind")]
    public void What_asynchronous_training_can_not_have_is_refused_with_what_it_can(string mode, string name, string value, string place)
    {
        var fault = Assert.Single(Faults(Job(M(("consistency", S(mode)), (name, S(value))))));
        Assert.Equal(place, fault.Place);
        Assert.Contains("bsp", name == "staleness" ? "bsp" : fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Clipping_by_the_norm_and_backups_of_what_is_kept_at_a_worker_are_refused()
    {
        Assert.Equal("training.clip.norm", Assert.Single(Faults(Job(M(("consistency", S("asp")), ("clip", M(("norm", S("1")))))))).Place);
        Assert.Equal("training.backup-workers", Assert.Single(Faults(Job(M(("codec", S("bf16")), ("backup-workers", S("1")))))).Place);
    }

    [Fact]
    public void Consistency_and_codecs_are_read()
    {
        var training = Read(Job(M(("consistency", S("ssp")), ("staleness", S("5")), ("pull-codec", S("bf16"))))).Training;
        Assert.Equal((ConsistencyMode.Ssp, 5, WeightCodec.Bf16), (training.Consistency, training.Staleness, training.PullCodec));
        training = Read(Job(M(("codec", S("top-k")), ("top-k", S("0.05"))))).Training;
        Assert.Equal((GradientCodec.TopK, 0.05), (training.Codec, training.TopK));
        Assert.Equal((ConsistencyMode.Bsp, GradientCodec.Fp32), (Read(Job()).Training.Consistency, Read(Job()).Training.Codec));
    }

    [Fact]
    public void A_metric_that_the_task_does_not_have_is_refused()
    {
        var fault = Assert.Single(Faults(Job(M(("metric", S("acuracy"))))));
        Assert.Equal(("training.metric", "acuracy"), (fault.Place, fault.Found));
        Assert.Contains("accuracy", fault.Candidates);
        Assert.Equal("recall/1", Read(Job(M(("metric", S("recall/1"))))).Training.Metric);
    }

    [Theory]
    [InlineData("adam", "momentum", "0.9")]
    [InlineData("sgd", "beta1", "0.5")]
    [InlineData("sgd", "epsilon", "0.001")]
    [InlineData("adamw", "centered", "true")]
    [InlineData("rmsprop", "nesterov", "true")]
    [InlineData("adam", "beta2", "1")]
    [InlineData("adam", "learning-rate", "0")]
    [InlineData("adam", "learning-rate", "nan")]
    public void A_constant_of_another_optimizer_is_refused(string kind, string name, string value) =>
        Assert.Equal($"training.optimizer.{name}", Assert.Single(Faults(Job(M(("optimizer", M(("kind", S(kind)), (name, S(value)))))))).Place);

    [Fact]
    public void Without_a_validation_part_the_last_weights_are_kept_unless_the_best_were_asked_for()
    {
        var none = M(("split", S("none")));
        Assert.Equal(VersionSelection.Last, Read(Job(data: none)).Training.Select);
        var faults = Faults(Job(M(("select", S("best")), ("early-stopping", M(("patience", S("3"))))), none));
        Assert.Equal(["training.early-stopping", "training.select"], faults.Select(fault => fault.Place).Order());
    }

    [Theory]
    [InlineData("roc-auc")]
    [InlineData("f1-macro")]
    [InlineData("recall/1")]
    public void A_metric_of_the_task_or_of_one_class_can_be_gone_by(string metric) =>
        Assert.Equal(metric, Read(Job(M(("metric", S(metric))))).Training.Metric);

    [Fact]
    public void Label_smoothing_belongs_to_cross_entropy() =>
        Assert.Equal("training.loss.label-smoothing", Assert.Single(Faults(Job(M(("loss", M(("kind", S("mse")), ("label-smoothing", S("0.1")))))))).Place);

    [Fact]
    public void A_regression_takes_losses_and_splits_of_its_own()
    {
        var regression = M(("task", S("regression")));
        var spec = Read(Job(M(("loss", S("huber"))), regression));
        Assert.Equal((SplitKind.Random, LossKind.Huber), (spec.Data.Split.Kind, spec.Training.Loss.Kind!.Value));
        Assert.Equal("training.loss.kind", Assert.Single(Faults(Job(M(("loss", S("cross-entropy"))), regression))).Place);
        Assert.Equal("data.split.kind", Assert.Single(Faults(Job(data: M(("task", S("regression")), ("split", S("stratified")))))).Place);
    }

    [Fact]
    public void Slices_follow_a_small_batch_but_never_the_workers()
    {
        Assert.Equal(2, Read(Job(M(("batch-size", S("3"))))).Training.Slices);
        Assert.Equal(4, Read(Job(M(("workers", S("4"))))).Training.Slices);
        Assert.Contains("workers", Assert.Single(Faults(Job(M(("workers", S("5")))))).Place, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a.csv", DataFormat.Csv)]
    [InlineData("a.TSV", DataFormat.Csv)]
    [InlineData("a.data", DataFormat.Csv)]
    [InlineData("a.npz", DataFormat.Npz)]
    [InlineData("", DataFormat.Images)]
    public void The_format_follows_from_the_source(string file, DataFormat format)
    {
        var folder = Directory.CreateTempSubdirectory("clusternet-test");
        try
        {
            if (file.Length > 0)
                File.WriteAllText(Path.Combine(folder.FullName, file), "");
            var spec = JobReader.Read(Job(data: M(("source", S(file.Length > 0 ? file : ".")))), folder.FullName);
            Assert.Equal(format, spec.Data.Format);
            Assert.Equal(Path.GetFullPath(Path.Combine(folder.FullName, file.Length > 0 ? file : ".")), spec.Data.Source);
            Assert.Equal(file == "a.TSV" ? '\t' : ',', spec.Data.Csv.Delimiter);
        }
        finally
        {
            folder.Delete(true);
        }
    }

    [Fact]
    public void A_missing_source_is_a_fault_before_anything_is_read() =>
        Assert.Contains("there is no file or folder", Assert.Single(Faults(Job(data: M(("source", S("no-such.csv")))))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("/elsewhere/a.csv", DataFormat.Csv)]
    [InlineData("/elsewhere/a.npz", DataFormat.Npz)]
    [InlineData("/elsewhere/pictures", DataFormat.Images)]
    [InlineData("relative.csv", DataFormat.Csv)]
    public void A_source_that_other_machines_read_is_not_looked_for(string source, DataFormat format)
    {
        var faults = new List<Fault>();
        var spec = JobReader.Read(Job(data: M(("source", S(source)))), "/folder", isElsewhere: true, "job", faults);
        Assert.Empty(faults);
        Assert.Equal((Path.GetFullPath(source, "/folder"), format), (spec.Data.Source, spec.Data.Format));
    }

    [Fact]
    public void A_source_elsewhere_whose_name_does_not_tell_its_format_needs_one()
    {
        var faults = new List<Fault>();
        JobReader.Read(Job(data: M(("source", S("/elsewhere/a.b")))), "/folder", isElsewhere: true, "job", faults);
        Assert.Equal("data.format", Assert.Single(faults).Place);
    }

    [Theory]
    [InlineData("validation", "0.9", "data.split")]
    [InlineData("test", "1.5", "data.split.test")]
    [InlineData("column", "patient", "data.split.column")]
    [InlineData("test-groups", "p1", "data.split.test-groups")]
    [InlineData("kind", "arrays", "data.split.kind")]
    [InlineData("kind", "group", "data.split.column")]
    public void A_split_that_can_not_be_is_refused(string name, string value, string place) =>
        Assert.Equal(place, Assert.Single(Faults(Job(data: M(("split", M((name, S(value)))))))).Place);

    [Theory]
    [InlineData("standardise")]
    [InlineData("impute-mean")]
    public void An_unknown_preparation_step_is_named_with_its_place(string word) =>
        Assert.Equal("data.preparation[1]", Assert.Single(Faults(Job(data: M(("preparation", new SettingValue.List([S("standardize"), S(word)])))))).Place);

    [Fact]
    public void A_file_without_end_is_refused_without_being_read()
    {
        SettingValue deep = S("x");
        for (var i = 0; i < 100; i++)
            deep = new SettingValue.List([deep]);
        Assert.Contains(Faults(Job(model: M(("hidden", deep)))), fault => fault.Message.Contains("nested deeper", StringComparison.Ordinal));
        Assert.Contains(Faults(Job(model: M(("own", S(new string('x', 5000)))))), fault => fault.Message.Contains("longer than", StringComparison.Ordinal));
    }

    [Fact]
    public void A_spec_made_by_a_program_is_checked_by_the_same_rules()
    {
        var spec = Read(Job());
        Assert.Empty(JobReader.Check(spec));
        Assert.Equal(
            ["training.slices", "training.workers"],
            JobReader.Check(spec with { Training = spec.Training with { Slices = 3, Workers = 5 } }).Select(fault => fault.Place).Order());
    }
}
