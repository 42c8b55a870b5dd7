using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Models;

/// <summary>
/// What the registry of models understands. A version's weights are in the store, part by part, before the registry names it. A command that the store did not take is answered by
/// <c>Status.Failure</c> with a <see cref="ClusterException"/>, and may be repeated: none does anything twice.
/// </summary>
public static class ModelProtocol
{
    /// <summary>Every message that concerns one model.</summary>
    public interface IModelMessage
    {
        /// <summary>The model's name.</summary>
        string Model { get; }
    }

    /// <summary>What the registry is asked to do.</summary>
    public static class Commands
    {
        /// <summary>The next number of a model, for a job, or for a step of it. The same job and step get the same number again. Answered by <see cref="Replies.Reserved"/>.</summary>
        public sealed record Reserve(string Model, JobId Job) : IModelMessage
        {
            /// <summary>Of a version that is handed over while the job trains; null for the version at its end.</summary>
            public long? Step { get; init; }
        }

        /// <summary>Name a version whose weights are stored. Answered by <see cref="Replies.Registered"/>; once more for the same version is no fault.</summary>
        public sealed record Register(StoredVersion Stored) : IModelMessage
        {
            /// <inheritdoc/>
            public string Model => Stored.Version.Id.Model;
        }

        /// <summary>Forget a version, or all where <paramref name="Version"/> is null, and delete the weights. Answered by <see cref="Replies.Deleted"/> or <see cref="Replies.Unknown"/>.</summary>
        public sealed record Delete(string Model, int? Version) : IModelMessage;

        /// <summary>Put a label on a version, off the one that had it; off all where <paramref name="Version"/> is null. Answered by <see cref="Replies.Labelled"/>, <see cref="Replies.Unknown"/> or <see cref="Replies.Refused"/>.</summary>
        public sealed record SetLabel(string Model, string Label, int? Version) : IModelMessage;

        /// <summary>Keep what a version came to on the first node that loaded it; what other nodes say later is not. Answered by <see cref="Replies.Found"/> or <see cref="Replies.Unknown"/>.</summary>
        /// <param name="Version">which</param>
        /// <param name="Arithmetic">SHA-256 of outputs for samples that are the same on all nodes</param>
        public sealed record NoteArithmetic(ModelVersionId Version, string Arithmetic) : IModelMessage
        {
            /// <inheritdoc/>
            public string Model => Version.Model;
        }

        /// <summary>Say which versions answer. Answered by <see cref="Replies.TrafficSet"/>, <see cref="Replies.Unknown"/> or <see cref="Replies.Refused"/>.</summary>
        /// <param name="Model">whose</param>
        /// <param name="Traffic">all of it</param>
        /// <param name="Reason">why, where it was not a user who wanted it; journalled</param>
        public sealed record SetTraffic(string Model, TrafficSpec Traffic, string? Reason = null) : IModelMessage
        {
            /// <summary>What it was decided upon: where the traffic is another one by now, nothing happens. Null for whatever it is.</summary>
            public TrafficSpec? Instead { get; init; }
        }
    }

    /// <summary>What the registry is asked.</summary>
    public static class Queries
    {
        /// <summary>A version, or the newest where <paramref name="Version"/> is null. Answered by <see cref="Replies.Found"/> or <see cref="Replies.Unknown"/>.</summary>
        public sealed record Find(string Model, int? Version) : IModelMessage
        {
            /// <summary>The version that has this label, where no number is given.</summary>
            public string? Label { get; init; }
        }

        /// <summary>Whether a version is still there, asked by who has the rest of it. Answered by <see cref="Replies.There"/> or <see cref="Replies.Unknown"/>.</summary>
        public sealed record IsThere(ModelVersionId Version) : IModelMessage
        {
            /// <inheritdoc/>
            public string Model => Version.Model;
        }

        /// <summary>All versions. Answered by <see cref="Replies.Models"/>.</summary>
        public sealed record List;

        /// <summary>What routes requests. Answered by <see cref="Replies.Table"/>; whoever asked is told of changes for a while after.</summary>
        /// <param name="Revision">of the table that the asker has; -1 for none</param>
        public sealed record GetTable(long Revision)
        {
            /// <summary>The asker's number for it, which the answer repeats.</summary>
            public long Question { get; init; }

            /// <summary>Versions that answer there: they are in use until the asker says otherwise, or is not heard of any more.</summary>
            public IReadOnlyList<ModelVersionId> Used { get; init; } = [];
        }
    }

    /// <summary>What the registry answers.</summary>
    public static class Replies
    {
        /// <summary>The number is taken.</summary>
        public sealed record Reserved(ModelVersionId Version);

        /// <summary>The version can be used.</summary>
        public sealed record Registered(ModelVersionId Version);

        /// <summary>What was asked for.</summary>
        public sealed record Found(StoredVersion Stored)
        {
            /// <summary>Of the node that loaded it first; null where none has said so yet.</summary>
            public string? Arithmetic { get; init; }
        }

        /// <summary>It is.</summary>
        public sealed record There(ModelVersionId Version)
        {
            /// <summary>Of the node that loaded it first; null where none has said so yet.</summary>
            public string? Arithmetic { get; init; }
        }

        /// <summary>There is no such model or version; to <see cref="Commands.Register"/>, the number was not reserved for that job.</summary>
        /// <param name="Fault">says which there are</param>
        public sealed record Unknown(Fault Fault);

        /// <summary>All versions, by name and number.</summary>
        public sealed record Models(IReadOnlyList<ModelVersion> Versions);

        /// <summary>These are gone, and so are their weights, unless the store refused: then they are deleted when the registry starts again.</summary>
        public sealed record Deleted(IReadOnlyList<ModelVersionId> Versions);

        /// <summary>The label is where it was wanted.</summary>
        public sealed record Labelled(string Model, string Label, int? Version);

        /// <summary>The traffic as it is now.</summary>
        public sealed record TrafficSet(string Model, TrafficSpec Traffic);

        /// <summary>Nothing was changed: it can't be, as things are.</summary>
        public sealed record Refused(IReadOnlyList<Fault> Faults);

        /// <summary>All models as requests are routed to them.</summary>
        /// <param name="Revision">grows with every change</param>
        /// <param name="Models">null where nothing has changed since the revision that was asked for</param>
        public sealed record Table(long Revision, IReadOnlyList<ModelEntry>? Models)
        {
            /// <summary>The question that it answers; 0 where there was none.</summary>
            public long Question { get; init; }

            /// <summary>Versions that answer anywhere; empty where nothing was asked.</summary>
            public IReadOnlyList<ModelVersionId> Used { get; init; } = [];
        }
    }

    /// <summary>What the registry journals.</summary>
    public static class Events
    {
        /// <summary>A number was given to a job.</summary>
        public sealed record VersionReserved(ModelVersionId Version, JobId Job)
        {
            /// <summary>Of a version that is handed over while the job trains; null for the version at its end.</summary>
            public long? Step { get; init; }
        }

        /// <summary>A version can be used.</summary>
        public sealed record VersionRegistered(StoredVersion Stored);

        /// <summary>A version is gone; its number is not given again. Its weights are still to be deleted.</summary>
        public sealed record VersionDeleted(ModelVersionId Version);

        /// <summary>The weights of a deleted version are gone too.</summary>
        public sealed record WeightsDeleted(ModelVersionId Version);

        /// <summary>A label is on another version, or on none where <paramref name="Version"/> is null.</summary>
        public sealed record LabelChanged(string Model, string Label, int? Version);

        /// <summary>A version was loaded for the first time: from now on nodes that come to other bits stand back.</summary>
        public sealed record ArithmeticNoted(ModelVersionId Version, string Arithmetic);

        /// <summary>Other versions answer, or to other shares.</summary>
        /// <param name="Model">whose</param>
        /// <param name="Traffic">all of it</param>
        /// <param name="Reason">why, where it was not a user who wanted it</param>
        public sealed record TrafficChanged(string Model, TrafficSpec Traffic, string? Reason);
    }

    /// <summary>A version and what it takes to load it.</summary>
    /// <param name="Version">what users see</param>
    /// <param name="Loss">the loss it was trained with: it decides what an output means</param>
    /// <param name="PreparationJson">the fitted preparation that travels with it</param>
    /// <param name="Parts">the runs of the weight vector that the store holds one by one, in order, without gaps</param>
    public sealed record StoredVersion(ModelVersion Version, LossSpec Loss, string PreparationJson, IReadOnlyList<ShardRange> Parts);
}
