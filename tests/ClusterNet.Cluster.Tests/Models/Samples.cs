using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>Versions and weights to test with.</summary>
internal static class Samples
{
    public static TensorPayload Payload(params float[] values)
    {
        var buffer = new TensorBufferPool(values.Length).Rent();
        values.CopyTo(buffer.Span);
        var payload = TensorPayload.Of(buffer);
        buffer.Release();
        return payload;
    }

    /// <param name="model">its name</param>
    /// <param name="number">its number</param>
    /// <param name="job">the job that trained it</param>
    /// <param name="weights">of all parts, in order; digested</param>
    /// <param name="parts">lengths of the parts</param>
    public static ModelProtocol.StoredVersion Stored(string model, int number, string job, float[]? weights = null, params int[] parts)
    {
        weights ??= [1, 2, 3];
        if (parts.Length == 0)
            parts = [weights.Length];
        var ranges = parts.Select((length, i) => new ShardRange(parts.Take(i).Sum(), length)).ToArray();
        var version = new ModelVersion(
            new ModelVersionId(model, number),
            new JobId(job),
            100,
            1,
            new ModelSpec("mlp", new Dictionary<string, SettingValue>(), new InitialisationSpec()),
            new DataSignature(LearningTask.Classification, ["a", "b"], [2], ["no", "yes"], "target"),
            "f00d",
            weights.Length,
            WeightsDigest.Sha256(weights),
            new Dictionary<string, IReadOnlyDictionary<string, double>> { ["test"] = new Dictionary<string, double> { ["accuracy"] = 0.5 } },
            DateTimeOffset.UnixEpoch);
        return new ModelProtocol.StoredVersion(version, new LossSpec(), "{}", ranges);
    }
}
