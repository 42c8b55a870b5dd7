namespace ClusterNet.Cluster.Serving;

/// <summary>Bounds on what a node's inference actors take and how long they wait. Each version has its own.</summary>
public sealed record ServingSettings
{
    /// <summary>The most samples that requests are merged up to; a request with more is computed by itself.</summary>
    public int MaxBatchSamples { get; init; } = 256;

    /// <summary>The most requests that may wait; further ones are refused as overload.</summary>
    public int MaxWaitingRequests { get; init; } = 1024;

    /// <summary>The most samples that may wait. A request with more is taken when nothing else waits.</summary>
    public int MaxWaitingSamples { get; init; } = 65536;

    /// <summary>How long an idle model waits for more requests to compute together; by default it starts at once.</summary>
    public TimeSpan MaxQueueDelay { get; init; } = TimeSpan.Zero;

    /// <summary>Computations before a version is ready: the first ones are slow.</summary>
    public int WarmUp { get; init; } = 3;

    /// <summary>torch threads of each version's computation. They change how sums are taken, and so the last bits of an output.</summary>
    public int ThreadsPerModel { get; init; } = 1;

    /// <summary>How long a version without requests stays in memory.</summary>
    public TimeSpan IdleAfter { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long to wait for the registry of models when a version is loaded.</summary>
    public TimeSpan RegistryPatience { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How often the registry is asked whether the version is still there, and, while loading, asked again.</summary>
    public TimeSpan CheckInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a version that could not be loaded is answered for without trying again.</summary>
    public TimeSpan RetryLoadAfter { get; init; } = TimeSpan.FromSeconds(5);
}
