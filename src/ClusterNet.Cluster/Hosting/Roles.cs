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
}
