using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Messages, events and checkpoints of parameter shards. See parameters.proto.</summary>
/// <param name="system">resolves actor references</param>
internal sealed class ParameterSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7101;

    /// <summary>The most shards of a job.</summary>
    private const int MaxShards = 65_536;

    private static readonly WireEnum<RefusalReason, Wire.ShardRefused.Types.Reason> Reasons = new();
    private static readonly WireEnum<GradientCodec, Wire.GradientCodec> GradientCodecs = new();
    private static readonly WireEnum<WeightCodec, Wire.WeightCodec> WeightCodecs = new();

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = Tensors(Replied(Asked(Commanded(new CodecTable("parameter")))));

    private static CodecTable Commanded(CodecTable table) => table
        .Add<Commands.Open, Wire.ShardOpen>(
            "P:open",
            m =>
            {
                var wire = new Wire.ShardOpen { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Setup = ToWire(m.Setup), WeightsSource = m.WeightsSource.ToWire() };
                if (m.RestoreStep is { } step)
                    wire.RestoreStep = step;
                return wire.Traced(m.Trace);
            },
            (w, system) => new Commands.Open(
                w.Shard.FromWire(), new Generation(w.Generation), FromWire(w.Setup), w.HasRestoreStep ? w.RestoreStep : null, w.WeightsSource.ToActor(system))
            { Trace = w.TraceOf() })
        .Add<WorkItem, Wire.WorkItem>("P:item", ToWire, FromWire)
        .Add<ShardSetup, Wire.ShardOpen.Types.Setup>("P:setup", ToWire, FromWire)
        .Add<Commands.ShareNorms, Wire.ShardShareNorms>(
            "P:norms",
            m => new Wire.ShardShareNorms { Shard = m.Shard.ToWire(), From = m.From, Step = m.Step, Round = m.Round, Partials = { m.Partials }, IsAnswer = m.IsAnswer },
            w => new Commands.ShareNorms(w.Shard.FromWire(), w.From, w.Step, w.Round, [.. w.Partials], w.IsAnswer))
        .Add<Commands.Meet, Wire.ShardMeet>(
            "P:meet",
            m => new Wire.ShardMeet { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Shards = { m.Shards.Select(WireParts.ToWire) } },
            (w, system) => new Commands.Meet(w.Shard.FromWire(), new Generation(w.Generation), [.. w.Shards.Select(path => path.ToActor(system))]))
        .Add<Commands.MarkBest, Wire.ShardStep>(
            "P:best", m => ToWire(m.Shard, m.Generation, m.Step), w => new Commands.MarkBest(w.Shard.FromWire(), new Generation(w.Generation), w.Step))
        .Add<Commands.TakeCheckpoint, Wire.ShardStep>(
            "P:take", m => ToWire(m.Shard, m.Generation, m.Step), w => new Commands.TakeCheckpoint(w.Shard.FromWire(), new Generation(w.Generation), w.Step))
        .Add<Commands.KeepCheckpoints, Wire.ShardKeepCheckpoints>(
            "P:keep",
            m => new Wire.ShardKeepCheckpoints { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Steps = { m.Steps } },
            w => new Commands.KeepCheckpoints(w.Shard.FromWire(), new Generation(w.Generation), [.. w.Steps]))
        .Add<Commands.Publish, Wire.ShardPublish>(
            "P:publish",
            m => new Wire.ShardPublish { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Version = m.Version.ToWire(), Selection = m.Selection.ToWire() },
            w => new Commands.Publish(w.Shard.FromWire(), new Generation(w.Generation), w.Version.FromWire(), w.Selection.FromWire()))
        .Add<Commands.Close, Wire.ShardClose>(
            "P:close",
            m => new Wire.ShardClose { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, DeleteCheckpoints = m.DeleteCheckpoints },
            w => new Commands.Close(w.Shard.FromWire(), new Generation(w.Generation), w.DeleteCheckpoints));

    private static CodecTable Asked(CodecTable table) => table
        .Add<Queries.Pull, Wire.ShardStep>(
            "P:pull", m => ToWire(m.Shard, m.Generation, m.Version), w => new Queries.Pull(w.Shard.FromWire(), new Generation(w.Generation), w.Step))
        .Add<Queries.PullResidual, Wire.ShardPullResidual>(
            "P:pull-residual",
            m => new Wire.ShardPullResidual { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Version = m.Version, Slice = m.Slice },
            w => new Queries.PullResidual(w.Shard.FromWire(), new Generation(w.Generation), w.Version, w.Slice))
        .Add<Queries.PullSelected, Wire.ShardPullSelected>(
            "P:pull-selected",
            m => new Wire.ShardPullSelected { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Selection = m.Selection.ToWire() },
            w => new Queries.PullSelected(w.Shard.FromWire(), new Generation(w.Generation), w.Selection.FromWire()))
        .Add<Queries.PullInitial, Wire.ShardPullInitial>(
            "P:pull-initial",
            m => new Wire.ShardPullInitial { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Range = m.Range.ToWire() },
            w => new Queries.PullInitial(w.Shard.FromWire(), new Generation(w.Generation), w.Range.FromWire()));

    private static CodecTable Replied(CodecTable table) => table
        .Add<Replies.Opened, Wire.ShardStep>(
            "P:opened",
            m =>
            {
                var wire = ToWire(m.Shard, m.Generation, m.Version);
                wire.IsMissingGiven = m.MissingSlices is not null;
                wire.MissingSlices.AddRange(m.MissingSlices ?? []);
                return wire;
            },
            w => new Replies.Opened(w.Shard.FromWire(), new Generation(w.Generation), w.Step) { MissingSlices = w.IsMissingGiven ? [.. w.MissingSlices] : null })
        .Add<Replies.Leaving, Wire.ShardLeaving>(
            "P:leaving",
            m => new Wire.ShardLeaving { Shard = m.Shard.ToWire(), Generation = m.Generation.Number },
            w => new Replies.Leaving(w.Shard.FromWire(), new Generation(w.Generation)))
        .Add<Commands.Go, Wire.ShardOnly>("P:go", m => new Wire.ShardOnly { Shard = m.Shard.ToWire() }, w => new Commands.Go(w.Shard.FromWire()))
        .Add<Replies.OpenFailed, Wire.ShardStepFailed>(
            "P:open-failed",
            m => new Wire.ShardStepFailed { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Step = m.RestoreStep, Reason = m.Reason },
            w => new Replies.OpenFailed(w.Shard.FromWire(), new Generation(w.Generation), w.Step, w.Reason))
        .Add<Replies.Refused, Wire.ShardRefused>(
            "P:refused",
            m => new Wire.ShardRefused { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Step = m.Step, Reason = Reasons.ToWire(m.Reason) },
            w => new Replies.Refused(w.Shard.FromWire(), new Generation(w.Generation), w.Step, Reasons.FromWire(w.Reason)))
        .Add<Replies.CheckpointSaved, Wire.ShardStep>(
            "P:saved", m => ToWire(m.Shard, m.Generation, m.Step), w => new Replies.CheckpointSaved(w.Shard.FromWire(), new Generation(w.Generation), w.Step))
        .Add<Replies.CheckpointFailed, Wire.ShardStepFailed>(
            "P:save-failed",
            m => new Wire.ShardStepFailed { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Step = m.Step, Reason = m.Reason },
            w => new Replies.CheckpointFailed(w.Shard.FromWire(), new Generation(w.Generation), w.Step, w.Reason))
        .Add<Replies.Published, Wire.ShardPublished>(
            "P:published",
            m => new Wire.ShardPublished { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Parts = { m.Parts.Select(WireParts.ToWire) } },
            w => new Replies.Published(w.Shard.FromWire(), new Generation(w.Generation), [.. w.Parts.Select(WireParts.FromWire)]))
        .Add<Replies.PublishFailed, Wire.ShardPublishFailed>(
            "P:publish-failed",
            m => new Wire.ShardPublishFailed { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Reason = m.Reason },
            w => new Replies.PublishFailed(w.Shard.FromWire(), new Generation(w.Generation), w.Reason))
        .Add<Replies.StepsDone, Wire.ShardStepsDone>(
            "P:steps",
            m =>
            {
                var wire = new Wire.ShardStepsDone
                {
                    Shard = m.Shard.ToWire(),
                    Generation = m.Generation.Number,
                    FirstStep = m.FirstStep,
                    Statistics = { m.Statistics.Select(WireParts.ToWire) },
                };
                if (m.MaxStaleness is { } staleness)
                    wire.MaxStaleness = staleness;
                return wire;
            },
            w => new Replies.StepsDone(w.Shard.FromWire(), new Generation(w.Generation), w.FirstStep, [.. w.Statistics.Select(WireParts.FromWire)])
            { MaxStaleness = w.HasMaxStaleness ? w.MaxStaleness : null })
        .Add<Replies.BestMarked, Wire.ShardStep>(
            "P:best-marked", m => ToWire(m.Shard, m.Generation, m.Step), w => new Replies.BestMarked(w.Shard.FromWire(), new Generation(w.Generation), w.Step));

    private static CodecTable Tensors(CodecTable table) => table
        .AddTensors<Commands.Push, Wire.ShardPush>(
            "P:push",
            ToWire,
            m => [m.Gradient],
            (w, tensors) => new Commands.Push(
                w.Shard.FromWire(), new Generation(w.Generation), w.Step, w.Node.FromWire(), tensors.Payload(w.GradientLength), w.Statistics.FromWire())
            {
                Codec = w.HasCodec ? GradientCodecs.FromWire(w.Codec) : GradientCodec.Fp32,
                Basis = w.HasBasis ? w.Basis : null,
                IsCopy = w.IsCopy,
                Trace = w.TraceOf(),
            })
        .AddTensors<Replies.Pulled, Wire.ShardPulled>(
            "P:pulled",
            ToWire,
            m => [m.Weights],
            (w, tensors) => new Replies.Pulled(w.Shard.FromWire(), new Generation(w.Generation), w.Version, tensors.Payload(w.WeightsLength))
            {
                Codec = w.HasCodec ? WeightCodecs.FromWire(w.Codec) : WeightCodec.Fp32,
                IsSelected = w.IsSelected,
                Applied = w.Applied is { } applied ? FromWire(applied) : null,
                Claim = w.Claim is { } claim ? FromWire(claim) : null,
                Late = [.. w.Late.Select(WireParts.FromWire)],
            })
        .AddTensors<Commands.KeepResidual, Wire.ShardResidual>(
            "P:keep-residual",
            m => ToWire(m.Shard, m.Generation, m.Version, m.Slice, m.Residual),
            m => [m.Residual],
            (w, tensors) => new Commands.KeepResidual(w.Shard.FromWire(), new Generation(w.Generation), w.Version, w.Slice, tensors.Payload(w.ResidualLength)))
        .AddTensors<Replies.ResidualKept, Wire.ShardResidual>(
            "P:residual",
            m => ToWire(m.Shard, m.Generation, m.Version, m.Slice, m.Residual),
            m => [m.Residual],
            (w, tensors) => new Replies.ResidualKept(w.Shard.FromWire(), new Generation(w.Generation), w.Version, w.Slice, tensors.Payload(w.ResidualLength)))
        .AddFrame<ShardCheckpoint, Wire.ShardCheckpoint>(
            "P:checkpoint",
            m =>
            {
                var wire = new Wire.ShardCheckpoint
                {
                    Shard = m.Shard.ToWire(),
                    Step = m.Step,
                    WeightsLength = m.Weights.Length,
                    SlotLengths = { m.Slots.Select(slot => slot.Length) },
                    BestStep = m.BestStep,
                    ResidualLengths = { m.Residuals.Select(residual => residual.Length) },
                };
                if (m.Best is { } best)
                    wire.BestLength = best.Length;
                return wire;
            },
            m => [m.Weights.Memory, .. m.Slots.Select(slot => slot.Memory), .. m.Best is { } best ? [best.Memory] : Array.Empty<ReadOnlyMemory<float>>(), .. m.Residuals.Select(residual => residual.Memory)],
            (w, tensors) => new ShardCheckpoint(
                w.Shard.FromWire(),
                w.Step,
                tensors.Payload(w.WeightsLength),
                [.. w.SlotLengths.Select(tensors.Payload)],
                w.HasBestLength ? tensors.Payload(w.BestLength) : null,
                w.BestStep)
            { Residuals = [.. w.ResidualLengths.Select(tensors.Payload)] },
            w => $"checkpoint of shard {w.Shard.FromWire()} at step {w.Step}");

    private static Wire.ShardPush ToWire(Commands.Push m)
    {
        var wire = new Wire.ShardPush
        {
            Shard = m.Shard.ToWire(),
            Generation = m.Generation.Number,
            Step = m.Step,
            Node = m.Node.ToWire(),
            GradientLength = m.Gradient.Length,
            Statistics = m.Statistics.ToWire(),
        };
        if (m.Codec != GradientCodec.Fp32)
            wire.Codec = GradientCodecs.ToWire(m.Codec);
        if (m.Basis is { } basis)
            wire.Basis = basis;
        if (m.IsCopy)
            wire.IsCopy = true;
        return wire.Traced(m.Trace);
    }

    private static Wire.ShardPulled ToWire(Replies.Pulled m)
    {
        var wire = new Wire.ShardPulled { Shard = m.Shard.ToWire(), Generation = m.Generation.Number, Version = m.Version, WeightsLength = m.Weights.Length, Late = { m.Late.Select(WireParts.ToWire) } };
        if (m.Codec != WeightCodec.Fp32)
            wire.Codec = WeightCodecs.ToWire(m.Codec);
        if (m.IsSelected)
            wire.IsSelected = true;
        if (m.Applied is { } applied)
            wire.Applied = ToWire(applied);
        if (m.Claim is { } claim)
            wire.Claim = ToWire(claim);
        return wire;
    }

    private static Wire.ShardResidual ToWire(ShardId shard, Generation generation, long version, int slice, TensorPayload residual) =>
        new() { Shard = shard.ToWire(), Generation = generation.Number, Version = version, Slice = slice, ResidualLength = residual.Length };

    private static Wire.WorkItem ToWire(WorkItem item) => new() { Step = item.Step, Node = item.Node.ToWire() };

    private static WorkItem FromWire(Wire.WorkItem item) => new(item.Step, item.Node.FromWire());

    private static Wire.ShardStep ToWire(ShardId shard, Generation generation, long step) => new() { Shard = shard.ToWire(), Generation = generation.Number, Step = step };

    private static Wire.ShardOpen.Types.Setup ToWire(ShardSetup setup) => new()
    {
        Training = JobSpecJson.Serialize(setup.Training),
        TotalSteps = setup.TotalSteps,
        Layout = setup.Layout.ToWire(),
        Shards = setup.Shards,
        StepsPerEpoch = setup.StepsPerEpoch,
    };

    private static ShardSetup FromWire(Wire.ShardOpen.Types.Setup setup) => setup.Shards <= MaxShards
        ? new ShardSetup(JobSpecJson.DeserializeTraining(setup.Training), setup.TotalSteps, setup.Layout.FromWire(), setup.Shards, setup.StepsPerEpoch)
        : throw new FormatException($"{setup.Shards} shards, the most is {MaxShards}");
}
