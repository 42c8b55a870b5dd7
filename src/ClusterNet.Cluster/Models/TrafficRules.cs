using System.Globalization;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Models;

/// <summary>What a model's traffic may be, and which versions it comes to.</summary>
public static class TrafficRules
{
    /// <summary>The most that a weight may be.</summary>
    public const double MostWeight = 1e6;

    /// <summary>All that is wrong with it.</summary>
    public static IReadOnlyList<Fault> Faults(TrafficSpec traffic, ModelEntry model)
    {
        var faults = new List<Fault>();
        if (traffic.Arms.Count > TrafficSpec.MostArms || traffic.Shadows.Count > TrafficSpec.MostArms)
            faults.Add(new Fault("traffic", $"{traffic.Arms.Count} arms and {traffic.Shadows.Count} shadows are too many: at most {TrafficSpec.MostArms} of each"));
        foreach (var arm in traffic.Arms)
        {
            Check(arm.Target, "traffic.weights");
            if (!(arm.Weight > 0 && arm.Weight <= MostWeight))
                faults.Add(new Fault($"traffic.weights.{arm.Target}", string.Create(CultureInfo.InvariantCulture, $"{arm.Weight} is no weight: above 0, at most {MostWeight}")));
        }
        foreach (var shadow in traffic.Shadows)
            Check(shadow, "traffic.shadows");
        foreach (var twice in traffic.Arms.GroupBy(arm => arm.Target).Where(group => group.Count() > 1).Select(group => group.Key))
            faults.Add(new Fault($"traffic.weights.{twice}", "is given twice"));
        if (traffic.Rollback is { } rule)
        {
            if (traffic.Arms.All(arm => arm.Target != rule.Canary) || traffic.Arms.Count < 2)
                faults.Add(new Fault("traffic.rollback.canary", $"'{rule.Canary}' is not one of at least two arms of the traffic"));
            if (!(rule.MaxErrorRate >= 0 && rule.MaxErrorRate <= 1))
                faults.Add(new Fault("traffic.rollback.max-error-rate", string.Create(CultureInfo.InvariantCulture, $"{rule.MaxErrorRate} is not within 0 to 1")));
            if (rule.MaxLatency <= TimeSpan.Zero)
                faults.Add(new Fault("traffic.rollback.max-latency", "is not above 0"));
            if (rule.Window < TimeSpan.FromSeconds(1) || rule.Window > TimeSpan.FromHours(1))
                faults.Add(new Fault("traffic.rollback.window", "is not within 1 s to 1 h"));
            if (rule.LeastRequests is < 1 or > 1_000_000)
                faults.Add(new Fault("traffic.rollback.least-requests", $"{rule.LeastRequests} is not within 1 to 1000000"));
        }
        return faults;

        void Check(string target, string place)
        {
            if (model.NumberOf(target) is null)
                faults.Add(new Fault(place, $"'{target}' is neither a version nor a label of model '{model.Model}'") { Found = target, Candidates = [.. model.Labels.Keys, .. model.Versions.Select(number => number.ToString(CultureInfo.InvariantCulture))] });
        }
    }

    /// <summary>The versions that answer, each once, with their shares, which come to 1. Never empty.</summary>
    public static IReadOnlyList<(int Version, double Share)> Shares(ModelEntry model)
    {
        var arms = model.Traffic.Arms.Select(arm => (Version: model.NumberOf(arm.Target), arm.Weight)).Where(arm => arm.Version is not null).ToArray();
        if (arms.Length == 0)
            return [(model.Labels.TryGetValue(ModelLabels.Production, out var production) ? production : model.Versions[^1], 1)];
        var sum = arms.Sum(arm => arm.Weight);
        return [.. arms.GroupBy(arm => arm.Version!.Value).Select(group => (group.Key, group.Sum(arm => arm.Weight) / sum))];
    }

    /// <summary>Whether two say the same.</summary>
    public static bool Same(TrafficSpec one, TrafficSpec other) =>
        one.Arms.SequenceEqual(other.Arms) && one.Shadows.SequenceEqual(other.Shadows) && one.Rollback == other.Rollback && one.IsUnloaded == other.IsUnloaded;
}
