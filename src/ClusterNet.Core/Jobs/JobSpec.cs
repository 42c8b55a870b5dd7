namespace ClusterNet.Core.Jobs;

/// <summary>All that a training job is: where the data comes from, which model, how it is trained. Validated where it enters; immutable after.</summary>
/// <param name="Name">the job's name, also the name its model is registered under (the alphabet of a <see cref="JobId"/>)</param>
/// <param name="Data">source, target, split, preparation</param>
/// <param name="Model">kind and settings of the model</param>
/// <param name="Training">optimizer, schedule, batches, cluster shape</param>
public sealed record JobSpec(string Name, DataSpec Data, ModelSpec Model, TrainingSpec Training);

/// <summary>Which model a job trains. The settings are those of the kind; the factory of the kind validates them.</summary>
/// <param name="Kind">a name in the model catalog: <c>mlp</c>, <c>cnn</c>, <c>rnn</c> or a user's own</param>
/// <param name="Settings">the settings of that kind, by name as written in the job file</param>
/// <param name="Initialisation">how weights start</param>
public sealed record ModelSpec(string Kind, IReadOnlyDictionary<string, SettingValue> Settings, InitialisationSpec Initialisation);

/// <summary>The start of the weights, drawn from the job's seed.</summary>
/// <param name="Kind">the rule</param>
/// <param name="Gain">standard deviation for <see cref="InitialisationKind.Normal"/>, gain for the Xavier rules; unused otherwise</param>
public sealed record InitialisationSpec(InitialisationKind Kind = InitialisationKind.Default, double Gain = 1.0);

/// <summary>The rules that weights may start by. Biases start at zero, but for <see cref="Default"/> and <see cref="Normal"/>.</summary>
public enum InitialisationKind
{
    /// <summary>What each TorchSharp module does by itself.</summary>
    Default,

    /// <summary>Normal with mean 0, weights and biases.</summary>
    Normal,

    /// <summary>Glorot and Bengio 2010, equation 16.</summary>
    XavierUniform,

    /// <summary>Glorot and Bengio 2010, as a normal distribution.</summary>
    XavierNormal,

    /// <summary>He et al. 2015, equation 10, uniform.</summary>
    KaimingUniform,

    /// <summary>He et al. 2015, equation 10.</summary>
    KaimingNormal,
}
