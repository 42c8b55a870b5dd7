using Akka.Actor;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Messages and events of the registry of models, and the weights of versions. See models.proto.</summary>
/// <param name="system">resolves actor references</param>
internal sealed partial class ModelSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7104;

    private static readonly WireEnum<LearningTask, Wire.ModelSignature.Types.Task> Tasks = new();

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = Traffic(Journalled(Replied(Asked(new CodecTable("model")))));

    private static CodecTable Asked(CodecTable table) => table
        .Add<Commands.Reserve, Wire.ModelReserve>(
            "M:reserve",
            m =>
            {
                var wire = new Wire.ModelReserve { Model = m.Model, Job = m.Job.Value };
                if (m.Step is { } step)
                    wire.Step = step;
                return wire;
            },
            w => new Commands.Reserve(w.Model, new JobId(w.Job)) { Step = w.HasStep ? w.Step : null })
        .Add<Commands.Register, Wire.ModelWhole>("M:register", m => Whole(m.Stored), w => new Commands.Register(FromWire(w.Stored)))
        .Add<Commands.Delete, Wire.ModelChoice>("M:delete", m => Choice(m.Model, m.Version), w => new Commands.Delete(w.Model, w.HasVersion ? w.Version : null))
        .Add<Queries.Find, Wire.ModelChoice>("M:find", m => Choice(m.Model, m.Version, m.Label), w => new Queries.Find(w.Model, w.HasVersion ? w.Version : null) { Label = w.HasLabel ? w.Label : null })
        .Add<Queries.IsThere, Wire.ModelOnly>("M:is-there", m => Only(m.Version), w => new Queries.IsThere(w.Version.FromWire()))
        .Add<Queries.List, Wire.ModelList>("M:list", _ => new Wire.ModelList(), _ => new Queries.List());

    private static CodecTable Replied(CodecTable table) => table
        .Add<Replies.Reserved, Wire.ModelOnly>("M:reserved", m => Only(m.Version), w => new Replies.Reserved(w.Version.FromWire()))
        .Add<Replies.Registered, Wire.ModelOnly>("M:registered", m => Only(m.Version), w => new Replies.Registered(w.Version.FromWire()))
        .Add<Replies.There, Wire.ModelThere>(
            "M:there",
            m =>
            {
                var wire = new Wire.ModelThere { Version = m.Version.ToWire() };
                if (m.Arithmetic is { } arithmetic)
                    wire.Arithmetic = arithmetic;
                return wire;
            },
            w => new Replies.There(w.Version.FromWire()) { Arithmetic = w.HasArithmetic ? w.Arithmetic : null })
        .Add<Replies.Found, Wire.ModelWhole>(
            "M:found",
            m =>
            {
                var wire = Whole(m.Stored);
                if (m.Arithmetic is { } arithmetic)
                    wire.Arithmetic = arithmetic;
                return wire;
            },
            w => new Replies.Found(FromWire(w.Stored)) { Arithmetic = w.HasArithmetic ? w.Arithmetic : null })
        .Add<Replies.Unknown, Wire.ModelUnknown>(
            "M:unknown", m => new Wire.ModelUnknown { Fault = m.Fault.ToWire() }, w => new Replies.Unknown(w.Fault.FromWire()))
        .Add<Replies.Models, Wire.ModelRecords>(
            "M:models",
            m => new Wire.ModelRecords { Versions = { m.Versions.Select(ToWire) } },
            w => new Replies.Models([.. w.Versions.Select(FromWire)]))
        .Add<Replies.Deleted, Wire.ModelDeleted>(
            "M:deleted",
            m => new Wire.ModelDeleted { Versions = { m.Versions.Select(WireParts.ToWire) } },
            w => new Replies.Deleted([.. w.Versions.Select(WireParts.FromWire)]))
        .Add<ModelVersion, Wire.ModelRecord>("M:version", ToWire, FromWire)
        .Add<StoredVersion, Wire.ModelStored>("M:stored", ToWire, FromWire);

    private static CodecTable Journalled(CodecTable table) => table
        .Add<Events.VersionReserved, Wire.ModelVersionReserved>(
            "M:number-given",
            m =>
            {
                var wire = new Wire.ModelVersionReserved { Version = m.Version.ToWire(), Job = m.Job.Value };
                if (m.Step is { } step)
                    wire.Step = step;
                return wire;
            },
            w => new Events.VersionReserved(w.Version.FromWire(), new JobId(w.Job)) { Step = w.HasStep ? w.Step : null })
        .Add<Events.VersionRegistered, Wire.ModelWhole>("M:version-registered", m => Whole(m.Stored), w => new Events.VersionRegistered(FromWire(w.Stored)))
        .Add<Events.VersionDeleted, Wire.ModelOnly>("M:version-deleted", m => Only(m.Version), w => new Events.VersionDeleted(w.Version.FromWire()))
        .Add<Events.WeightsDeleted, Wire.ModelOnly>("M:weights-deleted", m => Only(m.Version), w => new Events.WeightsDeleted(w.Version.FromWire()))
        .AddFrame<WeightsPart, Wire.ModelWeights>(
            "M:weights",
            m => m.Values.Length == m.Range.Length
                ? new Wire.ModelWeights { Version = m.Version.ToWire(), Range = m.Range.ToWire(), Sha256 = m.Sha256 }
                : throw new ArgumentException($"{m.Values.Length} values for a range of {m.Range.Length}"),
            m => [m.Values.Memory],
            (w, tensors) => new WeightsPart(w.Version.FromWire(), w.Range.FromWire(), tensors.Payload(w.Range.Length), w.Sha256),
            w => $"weights of {w.Version.FromWire()} from {w.Range.Offset}");

    private static Wire.ModelOnly Only(ModelVersionId version) => new() { Version = version.ToWire() };

    private static Wire.ModelWhole Whole(StoredVersion stored) => new() { Stored = ToWire(stored) };

    private static Wire.ModelChoice Choice(string model, int? version, string? label = null)
    {
        var wire = new Wire.ModelChoice { Model = model };
        if (version is { } number)
            wire.Version = number;
        if (label is not null)
            wire.Label = label;
        return wire;
    }

    private static Wire.ModelSignature ToWire(DataSignature signature) => new()
    {
        Task = Tasks.ToWire(signature.Task),
        InputNames = { signature.InputNames },
        Shape = { signature.Shape },
        Classes = { signature.Classes },
        TargetName = signature.TargetName,
    };

    private static DataSignature FromWire(Wire.ModelSignature signature) => new(
        Tasks.FromWire(signature.Task), [.. signature.InputNames], [.. signature.Shape], [.. signature.Classes], signature.TargetName);

    private static Wire.ModelStored ToWire(StoredVersion stored) => new()
    {
        Version = ToWire(stored.Version),
        Loss = JobSpecJson.Serialize(stored.Loss),
        PreparationJson = stored.PreparationJson,
        Parts = { stored.Parts.Select(WireParts.ToWire) },
    };

    private static StoredVersion FromWire(Wire.ModelStored stored) => new(
        FromWire(stored.Version), JobSpecJson.DeserializeLoss(stored.Loss), stored.PreparationJson, [.. stored.Parts.Select(WireParts.FromWire)]);

    private static Wire.ModelRecord ToWire(ModelVersion version)
    {
        var wire = new Wire.ModelRecord
        {
            Id = version.Id.ToWire(),
            Job = version.Job.Value,
            Step = version.Step,
            Seed = version.Seed,
            Model = JobSpecJson.Serialize(version.Model),
            Signature = ToWire(version.Signature),
            DataFingerprint = version.DataFingerprint,
            Parameters = version.Parameters,
            WeightsSha256 = version.WeightsSha256,
            Metrics = version.Metrics.ToWire(),
            Registered = version.Registered.ToWire(),
        };
        foreach (var (library, number) in version.Libraries)
            wire.Libraries.Add(library, number);
        return wire;
    }

    private static ModelVersion FromWire(Wire.ModelRecord version) => new(
        version.Id.FromWire(),
        new JobId(version.Job),
        version.Step,
        version.Seed,
        JobSpecJson.DeserializeModel(version.Model),
        FromWire(version.Signature),
        version.DataFingerprint,
        version.Parameters,
        version.WeightsSha256,
        version.Metrics.FromWire(),
        version.Registered.FromWire())
    {
        Libraries = new Dictionary<string, string>(version.Libraries, StringComparer.Ordinal),
    };
}
