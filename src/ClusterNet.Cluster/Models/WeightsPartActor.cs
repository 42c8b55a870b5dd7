using Akka.Actor;
using Akka.Persistence;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Models.WeightsProtocol;

namespace ClusterNet.Cluster.Models;

/// <summary>
/// Saves, loads or deletes one part of a version's weights, tells its parent how that went, and stops. It talks to the snapshot store itself: a version is immutable, so there is
/// nothing to recover and nothing to journal, and saving a part again overwrites it with the same values.
/// </summary>
internal sealed class WeightsPartActor : ReceiveActor
{
    /// <summary>How long the store may be silent.</summary>
    public static readonly TimeSpan DefaultPatience = TimeSpan.FromSeconds(60);

    private readonly ModelVersionId _version;
    private readonly ShardRange _range;
    private readonly TensorPayload? _values;
    private readonly Act _act;
    private readonly TimeSpan _patience;

    public WeightsPartActor(Act act, ModelVersionId version, ShardRange range, TensorPayload? values, TimeSpan patience)
    {
        _act = act;
        _version = version;
        _range = range;
        _values = values;
        _patience = patience;
        Receive<SaveSnapshotSuccess>(_ => Finish(new Saved(_version, _range)));
        Receive<SaveSnapshotFailure>(failure => StoreFailed(failure.Cause));
        Receive<LoadSnapshotResult>(Check);
        Receive<LoadSnapshotFailed>(failure => StoreFailed(failure.Cause));
        Receive<DeleteSnapshotsSuccess>(_ => Finish(new Deleted(_version, _range)));
        Receive<DeleteSnapshotsFailure>(failure => StoreFailed(failure.Cause));
        Receive<ReceiveTimeout>(_ => Fail(FormattableString.Invariant($"the store did not answer within {_patience.TotalSeconds} seconds")));
    }

    internal enum Act
    {
        Save,
        Load,
        Delete,
    }

    /// <summary>Answers <see cref="Saved"/> or <see cref="SaveFailed"/>.</summary>
    /// <param name="version">whose weights</param>
    /// <param name="range">which run of them, at most <see cref="MaxPartLength"/> long</param>
    /// <param name="values">
    /// as many as the range is long. The hold passes to this actor and is never given back: a store may keep the object itself (the in-memory one does), or still read it after it
    /// was given up on.
    /// </param>
    /// <param name="patience">how long the store may be silent; null for <see cref="DefaultPatience"/></param>
    public static Props PropsForSave(ModelVersionId version, ShardRange range, TensorPayload values, TimeSpan? patience = null)
    {
        if (values.Length != range.Length)
            throw new ArgumentException($"{values.Length} values for {range}", nameof(values));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(range.Length, MaxPartLength, nameof(range));
        return PropsFor(Act.Save, version, range, values, patience);
    }

    /// <summary>Answers <see cref="Loaded"/> or <see cref="LoadFailed"/>.</summary>
    public static Props PropsForLoad(ModelVersionId version, ShardRange range, TimeSpan? patience = null) => PropsFor(Act.Load, version, range, null, patience);

    /// <summary>Answers <see cref="Deleted"/> or <see cref="DeleteFailed"/>.</summary>
    public static Props PropsForDelete(ModelVersionId version, ShardRange range, TimeSpan? patience = null) => PropsFor(Act.Delete, version, range, null, patience);

    /// <inheritdoc/>
    protected override void PreStart()
    {
        var store = Persistence.Instance.Apply(Context.System).SnapshotStoreFor(string.Empty);
        var id = WeightsPart.PersistenceIdOf(_version, _range.Offset);
        store.Tell(_act switch
        {
            Act.Save => new SaveSnapshot(new SnapshotMetadata(id, 0, DateTime.UtcNow), new WeightsPart(_version, _range, _values!.Value, WeightsDigest.Sha256(_values.Value.Span))),
            Act.Load => new LoadSnapshot(id, SnapshotSelectionCriteria.Latest, long.MaxValue),
            _ => new DeleteSnapshots(id, SnapshotSelectionCriteria.Latest),
        });
        SetReceiveTimeout(_patience);
    }

    // the digest of 32 MB takes tens of milliseconds, too long for the threads that heartbeats run on
    private static Props PropsFor(Act act, ModelVersionId version, ShardRange range, TensorPayload? values, TimeSpan? patience) =>
        Props.Create(() => new WeightsPartActor(act, version, range, values, patience ?? DefaultPatience)).WithDispatcher(Hosting.Dispatchers.Parameters);

    private void Check(LoadSnapshotResult result)
    {
        if (result.Snapshot is null)
            Fail("it is not in the store");
        else if (result.Snapshot.Snapshot is not WeightsPart part)
            Fail($"the store holds a {result.Snapshot.Snapshot?.GetType().Name ?? "nothing"} in its place");
        else if (part.Version != _version || part.Range != _range)
            Fail($"the store holds elements {part.Range.Offset} to {part.Range.End - 1} of {part.Version} in its place");
        else if (part.Values.Length != _range.Length)
            Fail($"it has {part.Values.Length} values");
        else if (WeightsDigest.Sha256(part.Values.Span) != part.Sha256)
            Fail("its checksum is wrong: it was damaged in the store");
        else
            Finish(new Loaded(_version, _range, part.Values with { Buffer = part.Values.Buffer.Share() })); // the object may still be the store's
    }

    private void StoreFailed(Exception cause)
    {
        NodeTelemetry.StoreFailed(_act.ToString().ToLowerInvariant());
        Fail(StoreFault.ReasonOf(cause));
    }

    private void Fail(string cause)
    {
        var (act, what) = (_act.ToString().ToLowerInvariant(), $"elements {_range.Offset} to {_range.End - 1} of the weights of {_version}");
        var reason = $"could not {act} {what}: {cause}";
        Finish(_act switch
        {
            Act.Save => new SaveFailed(_version, _range, reason),
            Act.Load => new LoadFailed(_version, _range, reason),
            _ => new DeleteFailed(_version, _range, reason),
        });
    }

    private void Finish(IPartMessage outcome)
    {
        Context.Parent.Tell(outcome);
        Context.Stop(Self);
    }
}
