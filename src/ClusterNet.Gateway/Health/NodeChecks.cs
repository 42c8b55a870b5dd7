using Akka.Actor;
using Akka.Cluster;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Health;

/// <summary>The actor system has not ended.</summary>
internal sealed class ProcessCheck(ActorSystem system) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(system.WhenTerminated.IsCompleted
        ? HealthCheckResult.Unhealthy("the actor system has ended; start the process again")
        : HealthCheckResult.Healthy("the actor system runs"));
}

/// <summary>The node is an Up member of the cluster, as it sees it itself, and sees a leader.</summary>
internal sealed class MembershipCheck(ActorSystem system) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(Check());

    private HealthCheckResult Check()
    {
        if (system.WhenTerminated.IsCompleted)
            return HealthCheckResult.Unhealthy("the actor system has ended");
        var cluster = Akka.Cluster.Cluster.Get(system);
        var status = cluster.SelfMember.Status;
        if (!cluster.IsTerminated && status is MemberStatus.Removed or MemberStatus.Joining or MemberStatus.WeaklyUp)
            return HealthCheckResult.Unhealthy(status == MemberStatus.Removed ? "the node has not joined its cluster yet: none of the seeds has taken it in so far" : "the node is joining its cluster");
        if (cluster.IsTerminated || status != MemberStatus.Up)
            return HealthCheckResult.Unhealthy($"the node is {(cluster.IsTerminated ? "no member any more" : status.ToString().ToLowerInvariant())}, not up");
        var unreachable = cluster.State.Unreachable.Count;
        var members = FormattableString.Invariant($"the node is up, one of {cluster.State.Members.Count}, {unreachable} of them unreachable");
        // the split-brain resolver decides whether this side goes on; a node that others can't reach takes no work meanwhile
        return unreachable * 2 > cluster.State.Members.Count ? HealthCheckResult.Unhealthy(members) : HealthCheckResult.Healthy(members);
    }
}
