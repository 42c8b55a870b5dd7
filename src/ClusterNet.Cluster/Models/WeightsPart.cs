using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Models;

/// <summary>One run of a version's weights as the store holds it: the snapshot of the persistence id <see cref="PersistenceIdOf"/>.</summary>
/// <param name="Version">whose weights</param>
/// <param name="Range">which run of the weight vector</param>
/// <param name="Values">as many as the range is long</param>
/// <param name="Sha256">of the values: lower-case hexadecimal, over little-endian float32</param>
public sealed record WeightsPart(ModelVersionId Version, ShardRange Range, TensorPayload Values, string Sha256)
{
    /// <summary>Where a part is in the store. Unique: number and offset are the last two fields, whatever dashes the model's name has.</summary>
    public static string PersistenceIdOf(ModelVersionId version, int offset) => FormattableString.Invariant($"weights-{version.Model}-{version.Version}-{offset}");
}
