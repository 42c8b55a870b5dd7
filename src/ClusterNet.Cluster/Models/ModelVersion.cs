using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Models;

/// <summary>An immutable version of a model: all but its weights, which the store holds beside it.</summary>
/// <param name="Id">name and number</param>
/// <param name="Job">the job that trained it</param>
/// <param name="Step">the step its weights are of</param>
/// <param name="Seed">the job's seed</param>
/// <param name="Model">kind and settings</param>
/// <param name="Signature">input shape, names and classes</param>
/// <param name="DataFingerprint">of the data it was trained on</param>
/// <param name="Parameters">elements of its weights</param>
/// <param name="WeightsSha256">of its weights: little-endian float32 in the layout's order</param>
/// <param name="Metrics">by part, then by metric</param>
/// <param name="Registered">when</param>
public sealed record ModelVersion(
    ModelVersionId Id,
    JobId Job,
    long Step,
    long Seed,
    ModelSpec Model,
    DataSignature Signature,
    string DataFingerprint,
    int Parameters,
    string WeightsSha256,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Metrics,
    DateTimeOffset Registered)
{
    /// <summary>Versions of what it was trained with, by name; empty for versions of a time when that was not written down.</summary>
    public IReadOnlyDictionary<string, string> Libraries { get; init; } = new Dictionary<string, string>();
}
