using System.Runtime.Serialization;
using ClusterNet.Core.Jobs;
using Google.Protobuf;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// All that a shard needs to go on from a step, as the store keeps it: written with a checksum over every byte, refused when that does not agree on the way back. Its payloads carry holds like those of any
/// message: whoever saves it gives its hold back once the store has answered, whoever reads it once it has copied the values.
/// </summary>
/// <param name="Shard">whose state</param>
/// <param name="Step">the version of the weights: steps done</param>
/// <param name="Weights">as many values as the shard has parameters</param>
/// <param name="Slots">the optimizer's state, slot by slot in its own order; empty for one without state</param>
/// <param name="Best">the weights last marked as best; null where none were, or where they are <paramref name="Weights"/></param>
/// <param name="BestStep">the step of the best weights; meaningless where none were marked</param>
public sealed record ShardCheckpoint(ShardId Shard, long Step, TensorPayload Weights, IReadOnlyList<TensorPayload> Slots, TensorPayload? Best, long BestStep)
{
    /// <summary>What a lossy codec has lost of each slice so far, in the order of the slices; empty without one.</summary>
    public IReadOnlyList<TensorPayload> Residuals { get; init; } = [];

    /// <summary>Gives all holds back.</summary>
    public void Release()
    {
        foreach (var payload in (IEnumerable<TensorPayload>)[Weights, .. Slots, .. Best is { } best ? [best] : Array.Empty<TensorPayload>(), .. Residuals])
            payload.Release();
    }

    /// <summary>What it holds in memory.</summary>
    internal long Bytes => sizeof(float) * ((long)Weights.Length + Slots.Sum(slot => (long)slot.Length) + (Best?.Length ?? 0) + Residuals.Sum(residual => (long)residual.Length));

    /// <summary>Whether a failure to read a checkpoint says that the checkpoint is damaged, as against a store that can't be reached.</summary>
    internal static bool IsDamage(Exception failure) => failure switch
    {
        AggregateException many => many.InnerExceptions.Any(IsDamage),
        SerializationException or InvalidDataException or FormatException or InvalidProtocolBufferException => true,
        { InnerException: { } inner } => IsDamage(inner),
        _ => false,
    };
}
