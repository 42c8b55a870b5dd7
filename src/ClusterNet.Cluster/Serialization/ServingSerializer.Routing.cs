using ClusterNet.Cluster.Serving;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Requests to a router, and what routers and inference actors say to each other.</summary>
internal sealed partial class ServingSerializer
{
    private static readonly WireEnum<ServingState, Wire.ServingStatus.Types.State> States = new();

    private static CodecTable Routed(CodecTable table) => table
        .Add<PredictRequest, Wire.ServingRequest>("S:request", ToWire, FromWire)
        .Add<Commands.Withdraw, Wire.ServingNothing>("S:withdraw", _ => new Wire.ServingNothing(), _ => new Commands.Withdraw())
        .Add<ServedPrediction, Wire.ServingServed>("S:served", ToWire, FromWire)
        .Add<Replies.Refused, Wire.ServingRefused>(
            "S:refused",
            m => Refused(m.Kind, m.Faults, m.RetryAfter),
            w => new Replies.Refused(Kinds.FromWire(w.Kind), [.. w.Faults.Select(WireParts.FromWire)], w.HasRetryAfterTicks ? new TimeSpan(w.RetryAfterTicks) : null))
        .Add<Queries.Infer, Wire.ServingInfer>("S:infer", ToWire, FromWire)
        .Add<Replies.Inferred, Wire.ServingInferred>(
            "S:inferred", m => new Wire.ServingInferred { Request = m.Request, Served = ToWire(m.Served) }, w => new Replies.Inferred(w.Request, FromWire(w.Served)))
        .Add<Replies.InferFailed, Wire.ServingInferFailed>(
            "S:infer-failed",
            m => new Wire.ServingInferFailed { Request = m.Request, Refused = Refused(m.Kind, m.Faults, m.RetryAfter), OtherBits = m.HasOtherBits },
            w => new Replies.InferFailed(
                w.Request, Kinds.FromWire(w.Refused.Kind), [.. w.Refused.Faults.Select(WireParts.FromWire)], w.Refused.HasRetryAfterTicks ? new TimeSpan(w.Refused.RetryAfterTicks) : null)
            { HasOtherBits = w.OtherBits })
        .Add<Commands.Cancel, Wire.ServingCancel>(
            "S:cancel", m => new Wire.ServingCancel { Request = m.Request, Version = m.Version.ToWire() }, w => new Commands.Cancel(w.Request, w.Version.FromWire()))
        .Add<Commands.Prepare, Wire.ServingPrepare>(
            "S:prepare", m => new Wire.ServingPrepare { Version = m.Version.ToWire(), IfRoom = m.IfRoom }, w => new Commands.Prepare(w.Version.FromWire()) { IfRoom = w.IfRoom })
        .Add<Commands.Release, Wire.ServingVersion>("S:release", m => new Wire.ServingVersion { Version = m.Version.ToWire() }, w => new Commands.Release(w.Version.FromWire()))
        .Add<Replies.Prepared, Wire.ServingPrepared>(
            "S:prepared",
            m => new Wire.ServingPrepared { Version = m.Version.ToWire(), Faults = { m.Faults.Select(WireParts.ToWire) } },
            w => new Replies.Prepared(w.Version.FromWire(), [.. w.Faults.Select(WireParts.FromWire)]))
        .Add<Queries.GetStatus, Wire.ServingNothing>("S:get-status", _ => new Wire.ServingNothing(), _ => new Queries.GetStatus())
        .Add<Replies.Status, Wire.ServingStatus>(
            "S:status", m => new Wire.ServingStatus { Versions = { m.Versions.Select(ToWire) } }, w => new Replies.Status([.. w.Versions.Select(FromWire)]));

    private static Wire.ServingPrediction ToWire(Prediction prediction) =>
        new() { Version = prediction.Version.ToWire(), Classes = { prediction.Classes }, Outputs = LittleEndian.Field(prediction.Outputs.Span) };

    private static Prediction FromWire(Wire.ServingPrediction prediction) =>
        new(prediction.Version.FromWire(), [.. prediction.Classes], LittleEndian.Read(prediction.Outputs.Span));

    private static Wire.ServingServed ToWire(ServedPrediction served) => new()
    {
        Prediction = ToWire(served.Prediction),
        WeightsSha256 = served.WeightsSha256,
        QueuedTicks = served.Queued.Ticks,
        ComputedTicks = served.Computed.Ticks,
    };

    private static ServedPrediction FromWire(Wire.ServingServed served) =>
        new(FromWire(served.Prediction), served.WeightsSha256, new TimeSpan(served.QueuedTicks), new TimeSpan(served.ComputedTicks));

    private static Wire.ServingRefused Refused(FailureKind kind, IReadOnlyList<Core.Faults.Fault> faults, TimeSpan? retryAfter)
    {
        var wire = new Wire.ServingRefused { Kind = Kinds.ToWire(kind), Faults = { faults.Select(WireParts.ToWire) } };
        if (retryAfter is { } time)
            wire.RetryAfterTicks = time.Ticks;
        return wire;
    }

    private static Wire.ServingInput ToWire(ModelInput input) => input switch
    {
        ModelInput.Raw raw => new Wire.ServingInput { Raw = ToWire(raw.Samples) },
        ModelInput.Prepared prepared => new Wire.ServingInput
        {
            Prepared = new Wire.ServingInput.Types.Prepared { Shape = { prepared.Shape }, Values = LittleEndian.Field(prepared.Values.Span) },
        },
        _ => throw new ArgumentException($"{input?.GetType().Name ?? "null"} has no form on the wire", nameof(input)),
    };

    private static ModelInput FromWire(Wire.ServingInput input) => input.KindCase switch
    {
        Wire.ServingInput.KindOneofCase.Raw => new ModelInput.Raw(FromWire(input.Raw)),
        Wire.ServingInput.KindOneofCase.Prepared => new ModelInput.Prepared([.. input.Prepared.Shape], LittleEndian.Read(input.Prepared.Values.Span)),
        _ => throw new FormatException("input of a kind that this version does not know"),
    };

    private static Wire.ServingRequest ToWire(PredictRequest request)
    {
        var wire = new Wire.ServingRequest { Model = request.Model, Input = ToWire(request.Input), Priority = request.Priority }.Traced(request.Trace);
        if (request.Version is { } version)
            wire.Version = version;
        if (request.Timeout is { } timeout)
            wire.TimeoutTicks = timeout.Ticks;
        if (request.Key is { } key)
            wire.Key = key;
        return wire;
    }

    private static PredictRequest FromWire(Wire.ServingRequest wire) => new(wire.Model, FromWire(wire.Input))
    {
        Version = wire.HasVersion ? wire.Version : null,
        Timeout = wire.HasTimeoutTicks ? new TimeSpan(wire.TimeoutTicks) : null,
        Priority = wire.Priority,
        Key = wire.HasKey ? wire.Key : null,
        Trace = wire.TraceOf(),
    };

    private static Wire.ServingInfer ToWire(Queries.Infer infer)
    {
        var wire = new Wire.ServingInfer { Request = infer.Request, Version = infer.Version.ToWire(), Input = ToWire(infer.Input), Priority = infer.Priority, TakesOtherBits = infer.TakesOtherBits }.Traced(infer.Trace);
        if (infer.Patience is { } patience)
            wire.PatienceTicks = patience.Ticks;
        return wire;
    }

    private static Queries.Infer FromWire(Wire.ServingInfer wire) => new(wire.Request, wire.Version.FromWire(), FromWire(wire.Input))
    {
        TakesOtherBits = wire.TakesOtherBits,
        Patience = wire.HasPatienceTicks ? new TimeSpan(wire.PatienceTicks) : null,
        Priority = wire.Priority,
        Trace = wire.TraceOf(),
    };

    private static Wire.ServingStatus.Types.Item ToWire(VersionStatus status)
    {
        var statistics = status.Statistics;
        var wire = new Wire.ServingStatus.Types.Item
        {
            Version = status.Version.ToWire(),
            State = States.ToWire(status.State),
            Waiting = status.Waiting,
            Requests = statistics.Requests,
            Failures = { statistics.Failures.Select(pair => new Wire.ServingStatus.Types.Failures { Kind = Kinds.ToWire(pair.Key), Count = pair.Value }) },
            Samples = statistics.Samples,
            Batches = statistics.Batches,
            QueuedTicks = statistics.Queued.Ticks,
            ComputedTicks = statistics.Computed.Ticks,
            Latencies = { statistics.Latencies },
        };
        if (status.Reason is { } reason)
            wire.Reason = reason;
        if (statistics.Last is { } last)
            wire.Last = last.ToWire();
        return wire;
    }

    private static VersionStatus FromWire(Wire.ServingStatus.Types.Item wire) => new(
        wire.Version.FromWire(),
        States.FromWire(wire.State),
        wire.HasReason ? wire.Reason : null,
        wire.Waiting,
        new ServingStatistics(
            wire.Requests,
            wire.Failures.ToDictionary(failures => Kinds.FromWire(failures.Kind), failures => failures.Count),
            wire.Samples,
            wire.Batches,
            new TimeSpan(wire.QueuedTicks),
            new TimeSpan(wire.ComputedTicks),
            wire.Last?.FromWire())
        {
            Latencies = [.. wire.Latencies],
        });
}
