using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using CsCheck;

namespace ClusterNet.Core.Tests.Jobs;

/// <summary>What the cluster journals of a job is read back as exactly the same job.</summary>
public sealed class JobSpecJsonTests
{
    private static readonly Gen<string> _word = Gen.String[Gen.Char['!', 'ÿ'], 1, 8];
    private static readonly Gen<IReadOnlyList<string>> _words = _word.HashSet[0, 4].Select(set => (IReadOnlyList<string>)[.. set]);
    private static readonly Gen<double> _fraction = Gen.Double[0, 0.999];
    private static readonly Gen<double> _positive = Gen.Double[1e-9, 1];

    private static Gen<T> Any<T>()
        where T : struct, Enum => Gen.OneOf(Enum.GetValues<T>());

    private static Gen<SettingValue> Setting(int depth) => depth == 0
        ? _word.Select(text => (SettingValue)new SettingValue.Scalar(text))
        : Gen.Frequency(
            (3, Gen.Const("").Select(_ => (SettingValue)new SettingValue.Scalar(""))),
            (3, _word.Select(text => (SettingValue)new SettingValue.Scalar(text))),
            (1, Setting(depth - 1).Array[0, 3].Select(items => (SettingValue)new SettingValue.List(items))),
            (1, Gen.Dictionary(_word, Setting(depth - 1))[0, 3].Select(map => (SettingValue)new SettingValue.Map(map))));

    private static readonly Gen<PreparationSpec> _step = Gen.Select(Any<PreparationKind>(), Any<ImputeStrategy>(), _words, _word, _fraction).Select((kind, strategy, words, word, low) => kind switch
    {
        PreparationKind.Impute => new PreparationSpec(kind, words) { Strategy = strategy, Value = strategy == ImputeStrategy.Constant ? word : null },
        PreparationKind.MinMax => new PreparationSpec(kind, words) { Range = (low, low + 1) },
        PreparationKind.Labels => new PreparationSpec(kind, []) { Labels = words },
        PreparationKind.Scale => new PreparationSpec(kind, words) { Value = "255" },
        _ => new PreparationSpec(kind, words),
    });

    private static readonly Gen<DataSpec> _data =
        from source in _word
        from format in Any<DataFormat>()
        from task in Any<LearningTask>()
        from names in _words.Array[5]
        from shape in Gen.Int[1, 9].Array[0, 4]
        from missing in _words.Null()
        from kind in Any<SplitKind>()
        from column in _word.Null()
        from seed in Gen.Long[0, long.MaxValue].Nullable()
        from fractions in _fraction.Array[2]
        from steps in _step.Array[0, 4]
        from delimiter in Gen.OneOf(',', ';', '\t', ' ', '|')
        from pixels in Gen.Int[0, 8192]
        select new DataSpec("/" + source, format, task)
        {
            Target = source,
            Features = names[0],
            Exclude = names[1],
            Categorical = names[2],
            FeatureArray = source,
            Shape = shape,
            Csv = new CsvSpec(delimiter, pixels % 2 == 0, '"', missing),
            Images = new ImageSpec(pixels, pixels, 3),
            Split = new SplitSpec(kind) { Validation = fractions[0], Test = fractions[1], Seed = seed, Column = column, TestGroups = names[3], ValidationGroups = names[4] },
            Preparation = steps,
        };

    private static readonly Gen<OptimizerSpec> _optimizer =
        from kind in Any<OptimizerKind>()
        from values in _fraction.Array[7]
        from rate in _positive
        from epsilon in _positive.Nullable()
        from decay in _fraction.Nullable()
        from flags in Gen.Bool.Array[2]
        from decoupled in Gen.Bool.Nullable()
        select new OptimizerSpec
        {
            Kind = kind,
            LearningRate = rate,
            Momentum = values[0],
            Dampening = values[1],
            Nesterov = flags[0],
            Beta1 = values[2],
            Beta2 = values[3],
            Alpha = values[4],
            Epsilon = epsilon,
            Centered = flags[1],
            InitialAccumulator = values[5],
            LearningRateDecay = values[6],
            WeightDecay = decay,
            DecoupledWeightDecay = decoupled,
        };

    private static readonly Gen<LossSpec> _loss =
        from kind in Any<LossKind>().Nullable()
        from balanced in Gen.Bool
        from weights in Gen.Dictionary(_word, _positive)[0, 3]
        from smoothing in _fraction
        from delta in _positive
        select new LossSpec { Kind = kind, BalancedClassWeights = balanced, ClassWeights = balanced ? [] : weights, LabelSmoothing = smoothing, Delta = delta };

    private static readonly Gen<TrainingSpec> _training =
        from optimizer in _optimizer
        from loss in _loss
        from schedule in Any<ScheduleKind>()
        from selection in Any<VersionSelection>()
        from numbers in Gen.Int[1, 100].Array[6]
        from shards in Gen.Int[1, 100].Nullable()
        from epochs in Gen.Int[1, 1000].Nullable()
        from steps in Gen.Long[1, 1_000_000].Nullable()
        from power in Gen.Int[0, 10]
        from bounds in _positive.Nullable().Array[2]
        from factor in _positive
        from stop in Gen.Bool
        from consistency in Any<ConsistencyMode>()
        from codec in Any<GradientCodec>()
        from pull in Any<WeightCodec>()
        from topK in Gen.Double[0.001, 1]
        select new TrainingSpec
        {
            Optimizer = optimizer,
            Schedule = new ScheduleSpec { Kind = schedule, WarmupSteps = numbers[0], Every = numbers[1], Gamma = factor, FinalFactor = factor },
            Loss = loss,
            Clip = new ClipSpec(bounds[0], bounds[1]),
            BatchSize = numbers[2],
            Epochs = epochs,
            Steps = steps,
            Seed = numbers[0] * 1_000_000_007L,
            Slices = 1 << power,
            Workers = numbers[3],
            Shards = shards,
            ThreadsPerWorker = numbers[5],
            Consistency = consistency,
            Staleness = numbers[1],
            BackupWorkers = numbers[2],
            Codec = codec,
            TopK = topK,
            PullCodec = pull,
            Checkpoint = new CheckpointSpec(numbers[0], numbers[1]),
            EarlyStopping = stop ? new EarlyStoppingSpec(numbers[3], factor) : null,
            Select = selection,
        };

    private static readonly Gen<JobSpec> _job =
        from data in _data
        from training in _training
        from kind in _word.Where(word => !string.IsNullOrWhiteSpace(word))
        from settings in Gen.Dictionary(_word.Where(word => word is not ("kind" or "initialisation")), Setting(3))[0, 4]
        from initialisation in Any<InitialisationKind>()
        from gain in _positive
        from metric in Gen.OneOf([.. MetricNames.ForTask(data.Task).Select(Gen.Const)])
        select new JobSpec("a-job.1", data, new ModelSpec(kind, settings, new InitialisationSpec(initialisation, gain)), training with { Metric = metric });

    [Fact]
    public void A_job_survives_the_journal_bit_by_bit() => _job.Sample(
        job =>
        {
            var json = JobSpecJson.Serialize(job);
            var back = JobSpecJson.Deserialize(json);
            Assert.Equal(json, JobSpecJson.Serialize(back));
            AssertSame(job, back, "job");
        },
        iter: 500);

    [Fact]
    public void So_do_a_model_a_training_and_a_loss_by_themselves() => _job.Sample(
        job =>
        {
            AssertSame(job.Model, JobSpecJson.DeserializeModel(JobSpecJson.Serialize(job.Model)), "model");
            AssertSame(job.Training, JobSpecJson.DeserializeTraining(JobSpecJson.Serialize(job.Training)), "training");
            AssertSame(job.Training.Loss, JobSpecJson.DeserializeLoss(JobSpecJson.Serialize(job.Training.Loss)), "loss");
        },
        iter: 300);

    [Fact]
    public void One_part_is_not_taken_for_another()
    {
        var loss = JobSpecJson.Serialize(new LossSpec());
        Assert.Throws<FormatException>(() => JobSpecJson.DeserializeModel(loss));
        Assert.Throws<FormatException>(() => JobSpecJson.DeserializeTraining(loss));
        Assert.Throws<FormatException>(() => JobSpecJson.Deserialize(loss));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"version\":1,\"job\":7}")]
    [InlineData("{\"version\":2,\"job\":{}}")]
    [InlineData("{\"version\":1,\"job\":{\"name\":1}}")]
    [InlineData("{\"version\":1,\"job\":{\"name\":\"a\"}}")]
    [InlineData("{\"version\":1,\"job\":{\"$type\":\"System.Object\",\"name\":\"a\"}}")]
    public void What_is_no_stored_job_is_refused(string json) => Assert.Throws<FormatException>(() => JobSpecJson.Deserialize(json));

    [Fact]
    public void A_setting_that_an_older_release_did_not_know_takes_its_default()
    {
        var spec = JobSpecJson.Deserialize("""{"version":1,"job":{"name":"old","data":{"source":"/x.csv","format":"csv"},"model":{"kind":"mlp"},"training":{"epochs":"3"}}}""");
        Assert.Equal(new TrainingSpec().BatchSize, spec.Training.BatchSize);
        Assert.Equal(0.9, spec.Training.Optimizer.Beta1);
    }

    // records compare lists by reference, so the comparison walks every public property
    private static void AssertSame(object? expected, object? actual, string path)
    {
        if (expected is null || actual is null || expected is string || expected.GetType().IsPrimitive || expected.GetType().IsEnum || expected is ITuple)
        {
            Assert.True(Equals(expected, actual), $"{path}: {expected} became {actual}");
            return;
        }
        if (expected is IDictionary map)
        {
            var other = (IDictionary)actual;
            Assert.Equal(map.Count, other.Count);
            foreach (var key in map.Keys)
                AssertSame(map[key], other[key], $"{path}[{key}]");
            return;
        }
        if (expected is IEnumerable list)
        {
            var (first, second) = (list.Cast<object>().ToArray(), ((IEnumerable)actual).Cast<object>().ToArray());
            Assert.True(first.Length == second.Length, $"{path}: {first.Length} items became {second.Length}");
            for (var i = 0; i < first.Length; i++)
                AssertSame(first[i], second[i], $"{path}[{i}]");
            return;
        }
        Assert.Equal(expected.GetType(), actual.GetType());
        foreach (var property in expected.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.Name != "EqualityContract"))
            AssertSame(property.GetValue(expected), property.GetValue(actual), $"{path}.{property.Name}");
    }
}
