namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>A request that is one of several, which come one after the other.</summary>
/// <param name="Id">of the sequence</param>
/// <param name="IsFirst">whether it begins the sequence</param>
/// <param name="IsLast">whether it ends it</param>
internal readonly record struct SequenceStep(string Id, bool IsFirst, bool IsLast)
{
    /// <summary>The parameter with the sequence's id: a number other than 0, or a text.</summary>
    public const string IdName = "sequence_id";

    /// <summary>The parameter that says that it is the first.</summary>
    public const string FirstName = "sequence_start";

    /// <summary>The parameter that says that it is the last.</summary>
    public const string LastName = "sequence_end";
}
