using Akka.Actor;
using Akka.Event;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>Hot swap and re-placement: what is to follow is loaded and warmed up beside what answers, then requests go there, and what nothing leads to any more is let go.</summary>
internal sealed partial class ServingRouterActor
{
    private readonly Dictionary<ModelVersionId, Preparation> _preparations = [];
    private readonly Dictionary<ModelVersionId, TimeSpan> _unneeded = [];

    /// <summary>Load and warm up what a model's traffic leads to, on the nodes that are to have it. Answered by <see cref="Preloaded"/>.</summary>
    public sealed record Preload(string Model) : INoSerializationVerificationNeeded;

    /// <summary>Done; or not, and why.</summary>
    public sealed record Preloaded(IReadOnlyList<Fault> Faults) : INoSerializationVerificationNeeded;

    private void ReceivePreparations()
    {
        Receive<Preload>(OnPreload);
        Receive<Replies.Prepared>(OnPrepared);
    }

    private void OnPreload(Preload preload)
    {
        var versions = _routes.SharesOf(preload.Model).Select(share => new ModelVersionId(preload.Model, share.Version)).ToArray();
        if (versions.Length == 0)
        {
            Sender.Tell(new Preloaded([new Fault("model", $"there is no model '{preload.Model}'")]));
            return;
        }
        var asker = new Asker(Sender, versions.Length);
        foreach (var version in versions)
            Prepare(version).Askers.Add(asker);
        foreach (var version in versions)
            Conclude(version);
    }

    private void PrepareWhatIsWanted()
    {
        if (!_routes.IsKnown)
            return;
        foreach (var version in _routes.ToPrepare())
        {
            // what failed is tried again, with a pause
            if (!_preparations.ContainsKey(version))
            {
                Prepare(version);
                Conclude(version);
            }
        }
        LetGoOfTheUnneeded();
    }

    private Preparation Prepare(ModelVersionId version)
    {
        if (!_preparations.TryGetValue(version, out var preparation))
            _preparations.Add(version, preparation = new Preparation());
        var settings = _options.Of(version.Model);
        foreach (var host in _replicas.ReplicasOf(version.Model, settings.Replicas, settings.Placement))
        {
            if (preparation.Hosts.Add(host))
                host.Tell(new Commands.Prepare(version));
        }
        return preparation;
    }

    private void OnPrepared(Replies.Prepared prepared)
    {
        Heard(prepared.Version, _replicas.All.FirstOrDefault(host => host.Path.Address.Equals(Sender.Path.Address)), prepared.Faults.Count == 0);
        CatchUp();
        if (!_preparations.TryGetValue(prepared.Version, out var preparation))
            return;
        var host = preparation.Hosts.FirstOrDefault(host => host.Path.Address.Equals(Sender.Path.Address));
        if (host is null)
            return;
        preparation.Hosts.Remove(host);
        if (prepared.Faults.Count == 0)
            preparation.Ready++;
        else
            preparation.Faults = prepared.Faults;
        Conclude(prepared.Version);
    }

    /// <summary>A node that is gone is not waited for.</summary>
    private void ForgetPreparations(IActorRef host)
    {
        foreach (var version in _preparations.Where(pair => pair.Value.Hosts.Remove(host)).Select(pair => pair.Key).ToArray())
            Conclude(version);
    }

    private void Conclude(ModelVersionId version)
    {
        var preparation = _preparations[version];
        if (preparation.Hosts.Count > 0)
            return;
        _preparations.Remove(version);
        var faults = preparation.Faults;
        if (preparation.Ready == 0 && faults.Count == 0)
            faults = [new Fault(version.ToString(), "no node that could load it is up: start one with the role inference, or try again in a moment")];
        foreach (var asker in preparation.Askers)
            asker.Concluded(faults);
        if (faults.Count > 0)
        {
            var reason = string.Join("; ", faults);
            if (preparation.Ready + preparation.Faults.Count > 0 && _routes.FailureOf(version) != reason)
                _log.Error("{Version} can't be loaded, what answered before goes on: {Reason}", version, reason);
            _routes.Failed(version, reason);
            return;
        }
        var now = Now;
        foreach (var unneeded in _routes.Prepared(version))
            _unneeded[unneeded] = now;
    }

    /// <summary>What nothing leads to any more is let go after a while: not at once, since it may be wanted again, and other routers may still send to it.</summary>
    private void LetGoOfTheUnneeded()
    {
        var now = Now;
        foreach (var version in _unneeded.Where(pair => now - pair.Value >= _options.ReleaseAfter).Select(pair => pair.Key).ToArray())
        {
            _unneeded.Remove(version);
            if (!_routes.LeadsTo(version))
                Release([version]);
        }
    }

    private void Release(IEnumerable<ModelVersionId> versions)
    {
        foreach (var version in versions)
        {
            foreach (var host in _replicas.All)
                host.Tell(new Commands.Release(version), Self);
        }
    }

    private sealed class Preparation
    {
        public HashSet<IActorRef> Hosts { get; } = [];

        public int Ready { get; set; }

        public IReadOnlyList<Fault> Faults { get; set; } = [];

        public List<Asker> Askers { get; } = [];
    }

    private sealed class Asker(IActorRef actor, int versions)
    {
        private readonly List<Fault> _faults = [];
        private int _left = versions;

        public void Concluded(IReadOnlyList<Fault> faults)
        {
            _faults.AddRange(faults);
            if (--_left == 0)
                actor.Tell(new Preloaded(_faults), ActorRefs.NoSender);
        }
    }
}
