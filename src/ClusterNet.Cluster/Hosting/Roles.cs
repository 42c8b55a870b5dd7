namespace ClusterNet.Cluster.Hosting;

/// <summary>What a node of the cluster does; a node may have several roles.</summary>
public static class Roles
{
    /// <summary>Runs job coordinators, the directory of jobs and the registry of models.</summary>
    public const string Coordinator = "coordinator";

    /// <summary>Holds parameter shards.</summary>
    public const string Parameters = "parameters";

    /// <summary>Computes gradients.</summary>
    public const string Worker = "worker";

    /// <summary>Answers predictions.</summary>
    public const string Inference = "inference";

    /// <summary>Speaks HTTP to the outside.</summary>
    public const string Gateway = "gateway";

    /// <summary>All of them: what a node does that is told nothing else.</summary>
    public static IReadOnlyList<string> All { get; } = [Coordinator, Parameters, Worker, Inference, Gateway];

    /// <summary>Whether a node of these roles reads and writes the cluster's store: job journals, checkpoints, weights of versions. Workers and gateways do not.</summary>
    public static bool NeedStore(IEnumerable<string> roles) => roles.Any(role => role is Coordinator or Parameters or Inference);
}
