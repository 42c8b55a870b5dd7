namespace ClusterNet.Cluster.Hosting;

/// <summary>The threads that actors run on, but for the default ones: long computations there would hold up the cluster's heartbeats.</summary>
public static class Dispatchers
{
    /// <summary>One thread of its own for each actor: workers and inference, whatever calls libtorch.</summary>
    public const string Compute = "clusternet.compute-dispatcher";

    /// <summary>A small pool for parameter shards.</summary>
    public const string Parameters = "clusternet.parameter-dispatcher";
}
