namespace ClusterNet.Cluster.Serving;

/// <summary>How models are served: the same on all nodes of a cluster.</summary>
public sealed record ServingOptions
{
    /// <summary>Of models that have none of their own.</summary>
    public ModelServingOptions Defaults { get; init; } = new();

    /// <summary>By model.</summary>
    public IReadOnlyDictionary<string, ModelServingOptions> Models { get; init; } = new Dictionary<string, ModelServingOptions>();

    /// <summary>How often a router asks for what it was not told.</summary>
    public TimeSpan CheckInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a request waits for a registry that does not answer.</summary>
    public TimeSpan RegistryPatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a version that nothing leads to any more stays loaded.</summary>
    public TimeSpan ReleaseAfter { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a shadow may take.</summary>
    public TimeSpan ShadowPatience { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Those of a model.</summary>
    public ModelServingOptions Of(string model) => Models.Count > 0 && Models.TryGetValue(model, out var own) ? own : Defaults;
}

/// <summary>How one model is served.</summary>
public sealed record ModelServingOptions
{
    /// <summary>Inference nodes that have it; 0 for all.</summary>
    public int Replicas { get; init; }

    /// <summary>Names of the nodes that may have it; empty for any.</summary>
    public IReadOnlyList<string> Placement { get; init; } = [];

    /// <summary>How long a request waits that says nothing itself.</summary>
    public TimeSpan DefaultTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether what its traffic leads to is loaded before anybody asks, and stays.</summary>
    public bool Preload { get; init; }

    /// <summary>Its traffic until another is set; null for none.</summary>
    public Models.TrafficSpec? Traffic { get; init; }

    /// <summary>Bounds of each of its versions on each node.</summary>
    public ServingSettings Actor { get; init; } = new();
}
