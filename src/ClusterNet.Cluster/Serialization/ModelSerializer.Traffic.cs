using ClusterNet.Cluster.Models;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Labels, traffic, and the table that routers have.</summary>
internal sealed partial class ModelSerializer
{
    private static CodecTable Traffic(CodecTable table) => table
        .Add<Commands.SetLabel, Wire.ModelLabel>("M:set-label", m => Label(m.Model, m.Label, m.Version), w => new Commands.SetLabel(w.Model, w.Label, w.HasVersion ? w.Version : null))
        .Add<Replies.Labelled, Wire.ModelLabel>("M:labelled", m => Label(m.Model, m.Label, m.Version), w => new Replies.Labelled(w.Model, w.Label, w.HasVersion ? w.Version : null))
        .Add<Events.LabelChanged, Wire.ModelLabel>("M:label-changed", m => Label(m.Model, m.Label, m.Version), w => new Events.LabelChanged(w.Model, w.Label, w.HasVersion ? w.Version : null))
        .Add<Commands.NoteArithmetic, Wire.ModelArithmetic>(
            "M:note-arithmetic", m => new Wire.ModelArithmetic { Version = m.Version.ToWire(), Sha256 = m.Arithmetic }, w => new Commands.NoteArithmetic(w.Version.FromWire(), w.Sha256))
        .Add<Events.ArithmeticNoted, Wire.ModelArithmetic>(
            "M:arithmetic-noted", m => new Wire.ModelArithmetic { Version = m.Version.ToWire(), Sha256 = m.Arithmetic }, w => new Events.ArithmeticNoted(w.Version.FromWire(), w.Sha256))
        .Add<Commands.SetTraffic, Wire.ModelTrafficOf>(
            "M:set-traffic",
            m => TrafficOf(m.Model, m.Traffic, m.Reason, m.Instead),
            w => new Commands.SetTraffic(w.Model, FromWire(w.Traffic), w.HasReason ? w.Reason : null) { Instead = w.Instead is null ? null : FromWire(w.Instead) })
        .Add<Replies.TrafficSet, Wire.ModelTrafficOf>("M:traffic-set", m => TrafficOf(m.Model, m.Traffic), w => new Replies.TrafficSet(w.Model, FromWire(w.Traffic)))
        .Add<Events.TrafficChanged, Wire.ModelTrafficOf>(
            "M:traffic-changed", m => TrafficOf(m.Model, m.Traffic, m.Reason), w => new Events.TrafficChanged(w.Model, FromWire(w.Traffic), w.HasReason ? w.Reason : null))
        .Add<Replies.Refused, Wire.ModelRefused>(
            "M:refused", m => new Wire.ModelRefused { Faults = { m.Faults.Select(WireParts.ToWire) } }, w => new Replies.Refused([.. w.Faults.Select(WireParts.FromWire)]))
        .Add<Queries.GetTable, Wire.ModelGetTable>(
            "M:get-table",
            m => new Wire.ModelGetTable { Revision = m.Revision, Question = m.Question, Used = { m.Used.Select(WireParts.ToWire) } },
            w => new Queries.GetTable(w.Revision) { Question = w.Question, Used = [.. w.Used.Select(WireParts.FromWire)] })
        .Add<Replies.Table, Wire.ModelTable>("M:table", ToWire, FromWire);

    private static Wire.ModelLabel Label(string model, string label, int? version)
    {
        var wire = new Wire.ModelLabel { Model = model, Label = label };
        if (version is { } number)
            wire.Version = number;
        return wire;
    }

    private static Wire.ModelTrafficOf TrafficOf(string model, TrafficSpec traffic, string? reason = null, TrafficSpec? instead = null)
    {
        var wire = new Wire.ModelTrafficOf { Model = model, Traffic = ToWire(traffic) };
        if (reason is not null)
            wire.Reason = reason;
        if (instead is not null)
            wire.Instead = ToWire(instead);
        return wire;
    }

    private static Wire.ModelTraffic ToWire(TrafficSpec traffic)
    {
        var wire = new Wire.ModelTraffic
        {
            Arms = { traffic.Arms.Select(arm => new Wire.ModelTraffic.Types.Arm { Target = arm.Target, Weight = arm.Weight }) },
            Shadows = { traffic.Shadows },
            IsUnloaded = traffic.IsUnloaded,
        };
        if (traffic.Rollback is not { } rule)
            return wire;
        wire.Rollback = new Wire.ModelTraffic.Types.Rollback { Canary = rule.Canary, MaxErrorRate = rule.MaxErrorRate, WindowTicks = rule.Window.Ticks, LeastRequests = rule.LeastRequests };
        if (rule.MaxLatency is { } latency)
            wire.Rollback.MaxLatencyTicks = latency.Ticks;
        return wire;
    }

    private static TrafficSpec FromWire(Wire.ModelTraffic wire) => new([.. wire.Arms.Select(arm => new TrafficArm(arm.Target, arm.Weight))])
    {
        Shadows = [.. wire.Shadows],
        IsUnloaded = wire.IsUnloaded,
        Rollback = wire.Rollback is not { } rule ? null : new RollbackRule(rule.Canary)
        {
            MaxErrorRate = rule.MaxErrorRate,
            MaxLatency = rule.HasMaxLatencyTicks ? new TimeSpan(rule.MaxLatencyTicks) : null,
            Window = new TimeSpan(rule.WindowTicks),
            LeastRequests = rule.LeastRequests,
        },
    };

    private static Wire.ModelTable ToWire(Replies.Table table)
    {
        var wire = new Wire.ModelTable { Revision = table.Revision, Question = table.Question, Used = { table.Used.Select(WireParts.ToWire) } };
        if (table.Models is not { } models)
            return wire;
        wire.Models = new Wire.ModelTable.Types.Entries();
        foreach (var entry in models)
        {
            var written = new Wire.ModelTable.Types.Entry { Model = entry.Model, Versions = { entry.Versions }, Traffic = ToWire(entry.Traffic) };
            foreach (var (label, number) in entry.Labels)
                written.Labels.Add(label, number);
            wire.Models.Entries_.Add(written);
        }
        return wire;
    }

    private static Replies.Table FromWire(Wire.ModelTable wire) => new(
        wire.Revision,
        wire.Models?.Entries_.Select(entry => new ModelEntry(entry.Model, [.. entry.Versions], new Dictionary<string, int>(entry.Labels, StringComparer.Ordinal), FromWire(entry.Traffic))).ToArray())
    {
        Question = wire.Question,
        Used = [.. wire.Used.Select(WireParts.FromWire)],
    };
}
