namespace ClusterNet.Cluster.Models;

/// <summary>Which versions answer for a model, and to what share. Kept by the registry, so that all nodes agree and it survives restarts.</summary>
/// <param name="Arms">their weights say what share each gets; empty where nothing was said: the label <c>production</c>, or the newest version where no version has it</param>
public sealed record TrafficSpec(IReadOnlyList<TrafficArm> Arms)
{
    /// <summary>The most arms, and the most shadows.</summary>
    public const int MostArms = 16;

    /// <summary>What a model has of which nothing was said.</summary>
    public static TrafficSpec Default { get; } = new([]);

    /// <summary>Versions or labels that compute every request, too: what they say is compared with the answer, and not given.</summary>
    public IReadOnlyList<string> Shadows { get; init; } = [];

    /// <summary>When an arm is taken out again by itself; null for never.</summary>
    public RollbackRule? Rollback { get; init; }

    /// <summary>Whether the model was let go: requests are refused until it is loaded again.</summary>
    public bool IsUnloaded { get; init; }
}

/// <summary>A share of a model's traffic.</summary>
/// <param name="Target">a version's number, or a label</param>
/// <param name="Weight">above 0; divided by the sum of all arms'</param>
public sealed record TrafficArm(string Target, double Weight);

/// <summary>Takes an arm out of a model's traffic when it fails or is slow. Each node judges what it sees itself.</summary>
/// <param name="Canary">the arm's target</param>
public sealed record RollbackRule(string Canary)
{
    /// <summary>The most failures among its requests, 0 to 1; faults of the input do not count.</summary>
    public double MaxErrorRate { get; init; } = 1;

    /// <summary>The most that the 95th percentile of its latency may be; null for no bound.</summary>
    public TimeSpan? MaxLatency { get; init; }

    /// <summary>Over which time.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Fewer requests in the window say nothing.</summary>
    public int LeastRequests { get; init; } = 20;
}
