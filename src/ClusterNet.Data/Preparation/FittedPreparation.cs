using ClusterNet.Core.Data;

namespace ClusterNet.Data.Preparation;

/// <summary>Everything that was fitted on the training part; the same object prepares training data and prediction requests.</summary>
public sealed class FittedPreparation
{
    /// <summary>What a model sees.</summary>
    public required DataSignature Signature { get; init; }
}
