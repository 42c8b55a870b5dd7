using Akka.Actor;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// What is in use is in memory wherever it is to be, before it is asked there: a node that joins, or that is to have a model from now on, loads it while the others answer, and gets requests when it says that it has it. What is in use
/// the routers tell the registry, which tells all of them.
/// </summary>
internal sealed partial class ServingRouterActor
{
    private readonly WarmBook<IActorRef> _warm = new();
    private IReadOnlyList<ModelVersionId> _usedHere = [];
    private IReadOnlyList<ModelVersionId> _usedAnywhere = [];

    /// <summary>Versions that are to be in memory on all replicas of their model.</summary>
    private HashSet<ModelVersionId> _kept = [];

    /// <summary>Whether this node has had what was in use when it joined.</summary>
    private bool _hasCaughtUp;

    private void KeepLoaded()
    {
        if (!_routes.IsKnown)
            return;
        var now = Now;
        var always = KeptLoaded().ToHashSet();
        // a version that nothing leads to any more is let go; one that was asked by its number is where it was asked
        _kept = [.. always, .. _usedHere.Concat(_usedAnywhere).Where(version => _routes.EntryOf(version.Model) is { Traffic.IsUnloaded: false } && _routes.LeadsTo(version))];
        foreach (var version in _kept)
        {
            foreach (var host in ReplicasOf(version).Where(host => always.Contains(version) || _warm.IsToBeAsked(version, host, now)))
                host.Tell(new Commands.Prepare(version) { IfRoom = !always.Contains(version) }, Self);
        }
        CatchUp();
    }

    private IEnumerable<ModelVersionId> KeptLoaded() => _routes.Models
        .Where(model => _options.Of(model).Preload && _routes.EntryOf(model) is { Traffic.IsUnloaded: false })
        .SelectMany(model => _routes.SharesOf(model).Select(share => new ModelVersionId(model, share.Version)));

    private IReadOnlyList<IActorRef> ReplicasOf(ModelVersionId version)
    {
        var settings = _options.Of(version.Model);
        return _replicas.ReplicasOf(version.Model, settings.Replicas, settings.Placement);
    }

    /// <summary>Once this node has what it found in use, what comes to be in use later keeps nobody from asking it.</summary>
    private void CatchUp() => _hasCaughtUp |= _routes.IsKnown && (_own is null || _replicas.All.Contains(_own)) && !Lacking().Any();

    /// <summary>What this node is to have in memory and has not said a word about.</summary>
    private IEnumerable<ModelVersionId> Lacking() => _own is null ? [] : _kept.Where(version => ReplicasOf(version).Contains(_own) && !_warm.HasHeard(version, _own));

    private void Heard(ModelVersionId version, IActorRef? host, bool isWarm)
    {
        if (host is not null && host.Path.Address.Equals(Sender.Path.Address))
            _warm.Heard(version, host, isWarm, Now);
    }
}
