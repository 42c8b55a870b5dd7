namespace ClusterNet.Core.Jobs;

/// <summary>The words that job files use for what the specs hold as enumerations: reading and writing go by the same table.</summary>
internal static class JobWords
{
    public static readonly IReadOnlyDictionary<string, LearningTask> Tasks = new Dictionary<string, LearningTask>
    {
        ["classification"] = LearningTask.Classification,
        ["regression"] = LearningTask.Regression,
    };

    public static readonly IReadOnlyDictionary<string, DataFormat> Formats = new Dictionary<string, DataFormat>
    {
        ["csv"] = DataFormat.Csv,
        ["npz"] = DataFormat.Npz,
        ["images"] = DataFormat.Images,
    };

    public static readonly IReadOnlyDictionary<string, SplitKind> Splits = new Dictionary<string, SplitKind>
    {
        ["none"] = SplitKind.None,
        ["random"] = SplitKind.Random,
        ["stratified"] = SplitKind.Stratified,
        ["group"] = SplitKind.Group,
        ["column"] = SplitKind.Column,
        ["arrays"] = SplitKind.Arrays,
    };

    public static readonly IReadOnlyDictionary<string, PreparationKind> Preparations = new Dictionary<string, PreparationKind>
    {
        ["impute"] = PreparationKind.Impute,
        ["standardize"] = PreparationKind.Standardize,
        ["min-max"] = PreparationKind.MinMax,
        ["one-hot"] = PreparationKind.OneHot,
        ["labels"] = PreparationKind.Labels,
        ["scale"] = PreparationKind.Scale,
    };

    public static readonly IReadOnlyDictionary<string, ImputeStrategy> Strategies = new Dictionary<string, ImputeStrategy>
    {
        ["mean"] = ImputeStrategy.Mean,
        ["median"] = ImputeStrategy.Median,
        ["most-frequent"] = ImputeStrategy.MostFrequent,
        ["constant"] = ImputeStrategy.Constant,
    };

    public static readonly IReadOnlyDictionary<string, InitialisationKind> Initialisations = new Dictionary<string, InitialisationKind>
    {
        ["default"] = InitialisationKind.Default,
        ["normal"] = InitialisationKind.Normal,
        ["xavier-uniform"] = InitialisationKind.XavierUniform,
        ["xavier-normal"] = InitialisationKind.XavierNormal,
        ["kaiming-uniform"] = InitialisationKind.KaimingUniform,
        ["kaiming-normal"] = InitialisationKind.KaimingNormal,
    };

    public static readonly IReadOnlyDictionary<string, OptimizerKind> Optimizers = new Dictionary<string, OptimizerKind>
    {
        ["sgd"] = OptimizerKind.Sgd,
        ["adam"] = OptimizerKind.Adam,
        ["adamw"] = OptimizerKind.AdamW,
        ["adagrad"] = OptimizerKind.Adagrad,
        ["rmsprop"] = OptimizerKind.RmsProp,
        ["lamb"] = OptimizerKind.Lamb,
    };

    public static readonly IReadOnlyDictionary<string, ScheduleKind> Schedules = new Dictionary<string, ScheduleKind>
    {
        ["constant"] = ScheduleKind.Constant,
        ["step"] = ScheduleKind.Step,
        ["cosine"] = ScheduleKind.Cosine,
        ["linear"] = ScheduleKind.Linear,
    };

    public static readonly IReadOnlyDictionary<string, LossKind> Losses = new Dictionary<string, LossKind>
    {
        ["mse"] = LossKind.Mse,
        ["mae"] = LossKind.Mae,
        ["huber"] = LossKind.Huber,
        ["binary-cross-entropy"] = LossKind.BinaryCrossEntropy,
        ["cross-entropy"] = LossKind.CrossEntropy,
    };

    public static readonly IReadOnlyDictionary<string, VersionSelection> Selections = new Dictionary<string, VersionSelection>
    {
        ["best"] = VersionSelection.Best,
        ["last"] = VersionSelection.Last,
    };

    public static readonly IReadOnlyDictionary<string, ConsistencyMode> Modes = new Dictionary<string, ConsistencyMode>
    {
        ["bsp"] = ConsistencyMode.Bsp,
        ["ssp"] = ConsistencyMode.Ssp,
        ["asp"] = ConsistencyMode.Asp,
    };

    public static readonly IReadOnlyDictionary<string, GradientCodec> GradientCodecs = new Dictionary<string, GradientCodec>
    {
        ["fp32"] = GradientCodec.Fp32,
        ["bf16"] = GradientCodec.Bf16,
        ["int8"] = GradientCodec.Int8,
        ["top-k"] = GradientCodec.TopK,
    };

    public static readonly IReadOnlyDictionary<string, WeightCodec> WeightCodecs = new Dictionary<string, WeightCodec>
    {
        ["fp32"] = WeightCodec.Fp32,
        ["bf16"] = WeightCodec.Bf16,
    };

    /// <summary>The data that comes with the project.</summary>
    public static readonly IReadOnlyList<string> Builtin = ["builtin:wdbc", "builtin:digits", "builtin:xor"];

    /// <summary>The word for <paramref name="value"/>.</summary>
    public static string Of<T>(IReadOnlyDictionary<string, T> words, T value)
        where T : struct => words.First(pair => EqualityComparer<T>.Default.Equals(pair.Value, value)).Key;
}
