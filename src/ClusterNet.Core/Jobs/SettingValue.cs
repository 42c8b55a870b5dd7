namespace ClusterNet.Core.Jobs;

/// <summary>
/// One setting of a model as the job file gives it: a scalar (text), a list, or a map. Scalars stay text until the factory of the model asks for a type,
/// so that a user's own model can have settings that this project has never heard of.
/// </summary>
public abstract record SettingValue
{
    /// <summary>A number, a truth value or a word, as written.</summary>
    public sealed record Scalar(string Text) : SettingValue;

    /// <summary>A sequence.</summary>
    public sealed record List(IReadOnlyList<SettingValue> Items) : SettingValue;

    /// <summary>A mapping.</summary>
    public sealed record Map(IReadOnlyDictionary<string, SettingValue> Entries) : SettingValue;

    private SettingValue()
    {
    }
}
