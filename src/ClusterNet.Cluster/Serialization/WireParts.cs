using System.Runtime.Serialization;
using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using Google.Protobuf.Collections;

namespace ClusterNet.Cluster.Serialization;

/// <summary>What the messages of several protocols are made of, to and from the wire.</summary>
internal static class WireParts
{
    private static readonly WireEnum<ParameterProtocol.WeightsSelection, Wire.Selection> Selections = new();

    public static Wire.Shard ToWire(this ShardId shard) => new() { Job = shard.Job.Value, Index = shard.Index };

    public static ShardId FromWire(this Wire.Shard shard) => new(new JobId(shard.Job), shard.Index);

    public static Wire.Version ToWire(this ModelVersionId version) => new() { Model = version.Model, Number = version.Version };

    public static ModelVersionId FromWire(this Wire.Version version) => new(version.Model, version.Number);

    public static Wire.Run ToWire(this ShardRange range) => new() { Offset = range.Offset, Length = range.Length };

    public static ShardRange FromWire(this Wire.Run run) => new(run.Offset, run.Length);

    public static Wire.Node ToWire(this TreeNode node) => new() { Level = node.Level, Index = node.Index };

    public static TreeNode FromWire(this Wire.Node node) => new(node.Level, node.Index);

    public static Wire.Statistics ToWire(this StepStatistics statistics) => new()
    {
        Weight = statistics.Weight,
        Loss = statistics.Loss,
        Samples = statistics.Visits.Count,
        Fingerprint = statistics.Visits.Fingerprint,
    };

    public static StepStatistics FromWire(this Wire.Statistics statistics) =>
        new(statistics.Weight, statistics.Loss, new SampleVisits(statistics.Samples, statistics.Fingerprint));

    public static Wire.Selection ToWire(this ParameterProtocol.WeightsSelection selection) => Selections.ToWire(selection);

    public static ParameterProtocol.WeightsSelection FromWire(this Wire.Selection selection) => Selections.FromWire(selection);

    public static Wire.Problem ToWire(this Fault fault)
    {
        var problem = new Wire.Problem { Place = fault.Place, Message = fault.Message, Candidates = { fault.Candidates } };
        if (fault.Found is { } found)
            problem.Found = found;
        return problem;
    }

    public static Fault FromWire(this Wire.Problem problem) => new(problem.Place, problem.Message)
    {
        Found = problem.HasFound ? problem.Found : null,
        Candidates = [.. problem.Candidates],
    };

    /// <summary>A point in time with its offset from UTC, to the minute, as .NET has it.</summary>
    public static Wire.Moment ToWire(this DateTimeOffset time) => new() { UtcTicks = time.UtcTicks, OffsetMinutes = time.TotalOffsetMinutes };

    public static DateTimeOffset FromWire(this Wire.Moment moment)
    {
        // an offset beyond what .NET knows would overflow before it is refused
        var offset = TimeSpan.FromMinutes(Math.Clamp(moment.OffsetMinutes, -100_000, 100_000));
        return new DateTimeOffset(checked(moment.UtcTicks + offset.Ticks), offset);
    }

    public static Wire.Layout ToWire(this ParameterLayout layout) => new()
    {
        Parameters = { layout.Entries.Select(entry => new Wire.Layout.Types.Parameter { Name = entry.Name, Shape = { entry.Shape } }) },
    };

    public static ParameterLayout FromWire(this Wire.Layout layout) => new(layout.Parameters.Select(entry => (entry.Name, (IReadOnlyList<int>)[.. entry.Shape])));

    public static Wire.JobPlan ToWire(this WorkerProtocol.JobPlan plan)
    {
        var wire = new Wire.JobPlan
        {
            Layout = plan.Layout.ToWire(),
            TrainingSamples = plan.TrainingSamples,
            ValidationSamples = plan.ValidationSamples,
            TestSamples = plan.TestSamples,
            PreparationJson = plan.PreparationJson,
            DataFingerprint = plan.DataFingerprint,
        };
        if (plan.Arithmetic is { } arithmetic)
            wire.Arithmetic = arithmetic;
        return wire;
    }

    public static WorkerProtocol.JobPlan FromWire(this Wire.JobPlan plan) => new(
        plan.Layout.FromWire(), plan.TrainingSamples, plan.ValidationSamples, plan.TestSamples, plan.PreparationJson, plan.DataFingerprint)
    {
        Arithmetic = plan.HasArithmetic ? plan.Arithmetic : null,
    };

    public static void Fill(this MapField<string, double> map, IReadOnlyDictionary<string, double> values)
    {
        foreach (var (name, value) in values)
            map.Add(name, value);
    }

    public static Dictionary<string, double> FromWire(this MapField<string, double> map) => new(map, StringComparer.Ordinal);

    public static Wire.MetricsByPart ToWire(this IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> metrics)
    {
        var parts = new Wire.MetricsByPart();
        foreach (var (part, values) in metrics)
        {
            var set = new Wire.MetricSet();
            set.Values.Fill(values);
            parts.Parts.Add(part, set);
        }
        return parts;
    }

    public static IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> FromWire(this Wire.MetricsByPart metrics) =>
        metrics.Parts.ToDictionary(part => part.Key, part => (IReadOnlyDictionary<string, double>)part.Value.Values.FromWire(), StringComparer.Ordinal);

    /// <summary>The actor's full path, with this system's address where it is sent to another node.</summary>
    public static string ToWire(this IActorRef actor) => Akka.Serialization.Serialization.SerializedActorPath(actor ?? throw new SerializationException("an actor reference is null"));

    /// <summary>The actor at a path; one that is gone becomes the reference of a dead letter, as everywhere in Akka.</summary>
    /// <exception cref="SerializationException"><paramref name="path"/> is not an actor's path</exception>
    public static IActorRef ToActor(this string path, ExtendedActorSystem system) => ActorPath.TryParse(path, out _)
        ? system.Provider.ResolveActorRef(path)
        : throw new SerializationException($"'{(path.Length > 200 ? path[..200] + "..." : path)}' is not the path of an actor");
}
