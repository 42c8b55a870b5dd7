using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Models;

/// <summary>
/// What a <see cref="WeightsPartActor"/> tells its parent about the one part it was made for: exactly one of these, then it stops. None leaves the node.
/// </summary>
public static class WeightsProtocol
{
    /// <summary>The most elements of a part: 32 MB, which stores take in one piece and which moves in a fraction of a second.</summary>
    public const int MaxPartLength = 8 * 1024 * 1024;

    /// <summary>Every message about one part.</summary>
    public interface IPartMessage : INoSerializationVerificationNeeded
    {
        /// <summary>Whose weights.</summary>
        ModelVersionId Version { get; }

        /// <summary>Which run of them.</summary>
        ShardRange Range { get; }
    }

    /// <summary>A part that could not be saved, loaded or deleted.</summary>
    public interface IPartFailure : IPartMessage
    {
        /// <summary>What went wrong, for people.</summary>
        string Reason { get; }
    }

    /// <summary>Cuts a run into parts of at most <see cref="MaxPartLength"/> elements, in order and without gaps.</summary>
    public static IReadOnlyList<ShardRange> Split(ShardRange range)
    {
        var parts = new List<ShardRange>();
        for (var offset = range.Offset; offset < range.End; offset += MaxPartLength)
            parts.Add(new ShardRange(offset, Math.Min(MaxPartLength, range.End - offset)));
        return parts;
    }

    /// <summary>The part is in the store.</summary>
    public sealed record Saved(ModelVersionId Version, ShardRange Range) : IPartMessage;

    /// <summary>The store did not take the part, or did not say so in time.</summary>
    public sealed record SaveFailed(ModelVersionId Version, ShardRange Range, string Reason) : IPartFailure;

    /// <summary>The part, its checksum verified. The receiver has the hold on <paramref name="Values"/>.</summary>
    public sealed record Loaded(ModelVersionId Version, ShardRange Range, TensorPayload Values) : IPartMessage;

    /// <summary>The part is missing or damaged, or the store does not answer.</summary>
    public sealed record LoadFailed(ModelVersionId Version, ShardRange Range, string Reason) : IPartFailure;

    /// <summary>The part is no longer in the store, if it ever was.</summary>
    public sealed record Deleted(ModelVersionId Version, ShardRange Range) : IPartMessage;

    /// <summary>The store did not delete the part, or did not say so in time.</summary>
    public sealed record DeleteFailed(ModelVersionId Version, ShardRange Range, string Reason) : IPartFailure;
}
