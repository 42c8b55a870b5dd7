using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>Traffic that is tried: shadows compute beside what answers, a canary is taken out when it fails or is slow, and the traffic of the settings is a model's first.</summary>
internal sealed partial class ServingRouterActor
{
    /// <summary>Shadows never hold up what answers: beyond so many at once they are left out.</summary>
    private const int MostShadows = 1024;

    private readonly Dictionary<long, Shadowed> _shadowed = [];
    private readonly Dictionary<ModelVersionId, ShadowStatistics> _shadows = [];
    private readonly Dictionary<string, (TrafficSpec Traffic, CanaryJudge Judge)> _judges = new(StringComparer.Ordinal);

    private void ReceiveTraffic()
    {
        // to what this router has asked for; the table tells what came of it
        Receive<ModelProtocol.Replies.TrafficSet>(_ => { });
        Receive<ModelProtocol.Replies.Unknown>(_ => { });
        Receive<ModelProtocol.Replies.Refused>(refused => _log.Debug("The registry refuses a traffic: {Faults}", string.Join("; ", refused.Faults)));
    }

    private void SendToShadows(Pending pending, IReadOnlyList<ModelVersionId> shadows)
    {
        var settings = _options.Of(pending.Request.Model);
        foreach (var shadow in shadows)
        {
            if (_shadowed.Count >= MostShadows || _replicas.Choose(pending.Request.Model, settings.Replicas, settings.Placement, null) is not { } host)
                return;
            var shadowed = new Shadowed(shadow, Now);
            (pending.Shadows ??= []).Add(shadowed);
            _shadowed.Add(++_last, shadowed);
            host.Tell(new Queries.Infer(_last, shadow, pending.Request.Input) { Patience = settings.DefaultTimeout, Priority = PriorityLevels.Lowest, TakesOtherBits = true }, Self);
        }
    }

    private void ShadowEnded(long request, ReadOnlyMemory<float>? outputs)
    {
        if (!_shadowed.Remove(request, out var shadowed))
            return;
        (shadowed.HasEnded, shadowed.Outputs) = (true, outputs);
        Compare(shadowed);
    }

    private void Compare(Shadowed shadowed)
    {
        if (shadowed is { HasEnded: true, Answered: { } answered })
            _shadows[shadowed.Version] = _shadows.GetValueOrDefault(shadowed.Version, ShadowStatistics.None).With(answered, shadowed.Outputs);
    }

    private void CompareWith(Pending pending, ReadOnlyMemory<float> outputs)
    {
        foreach (var shadowed in pending.Shadows ?? [])
        {
            shadowed.Answered = outputs;
            Compare(shadowed);
        }
    }

    /// <summary>A request that the traffic led to a version has ended.</summary>
    private void Ended(Pending pending, FailureKind? failure)
    {
        if (pending.Request.Version is not null || _routes.EntryOf(pending.Request.Model) is not { Traffic: { Rollback: { } rule } traffic } entry || entry.NumberOf(rule.Canary) != pending.Version.Version)
            return;
        if (failure is FailureKind.InvalidInput or FailureKind.UnknownModel)
            return;
        // another traffic is judged anew
        if (!_judges.TryGetValue(entry.Model, out var known) || !TrafficRules.Same(known.Traffic, traffic))
            _judges[entry.Model] = known = (traffic, new CanaryJudge());
        known.Judge.Ended(Now, failure is not null, Now - pending.Since);
    }

    private void JudgeCanaries()
    {
        var now = Now;
        foreach (var (model, (traffic, judge)) in _judges.ToArray())
        {
            if (_routes.EntryOf(model) is not { } entry || entry.Traffic.Rollback is not { } rule || !TrafficRules.Same(entry.Traffic, traffic))
                _judges.Remove(model);
            else if (judge.Fault(rule, now) is { } reason)
                _registry.Tell(new ModelProtocol.Commands.SetTraffic(model, traffic with { Arms = [.. traffic.Arms.Where(arm => arm.Target != rule.Canary)], Rollback = null }, reason) { Instead = traffic });
        }
        foreach (var (request, _) in _shadowed.Where(pair => now - pair.Value.Since > _options.ShadowPatience).ToArray())
            ShadowEnded(request, null);
    }

    /// <summary>What the settings say holds for a model of which nothing else was said yet; the registry keeps it, as it keeps what is said later.</summary>
    private void ApplySettings()
    {
        foreach (var (model, settings) in _options.Models)
        {
            if (settings.Traffic is { } traffic && _routes.EntryOf(model) is { } entry && TrafficRules.Same(entry.Traffic, TrafficSpec.Default) && TrafficRules.Faults(traffic, entry).Count == 0)
                _registry.Tell(new ModelProtocol.Commands.SetTraffic(model, traffic, "the serving settings say so") { Instead = TrafficSpec.Default });
        }
    }

    /// <summary>A request that a shadow computes.</summary>
    private sealed class Shadowed(ModelVersionId version, TimeSpan since)
    {
        public ModelVersionId Version { get; } = version;

        public TimeSpan Since { get; } = since;

        public bool HasEnded { get; set; }

        /// <summary>What the shadow says; null where it failed.</summary>
        public ReadOnlyMemory<float>? Outputs { get; set; }

        /// <summary>What was answered; null where nothing was yet, or a failure.</summary>
        public ReadOnlyMemory<float>? Answered { get; set; }
    }
}
