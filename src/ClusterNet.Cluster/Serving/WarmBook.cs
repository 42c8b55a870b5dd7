using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Serving;

/// <summary>Which nodes have which versions in memory, as far as one router has heard: what they answered, and what they said when they were asked to load.</summary>
/// <typeparam name="TNode">a node</typeparam>
internal sealed class WarmBook<TNode>
    where TNode : class
{
    /// <summary>How long a word is good for: who has not been heard of since is asked again.</summary>
    public static readonly TimeSpan Trust = TimeSpan.FromSeconds(10);

    private static readonly HashSet<TNode> None = [];

    private readonly Dictionary<ModelVersionId, Words> _versions = [];

    /// <summary>The nodes that answer for a version at once.</summary>
    public IReadOnlySet<TNode> NodesOf(ModelVersionId version) => _versions.GetValueOrDefault(version)?.Warm ?? None;

    /// <summary>A node has a version in memory, or said that it can't have it.</summary>
    public void Heard(ModelVersionId version, TNode node, bool isWarm, TimeSpan now)
    {
        if (!_versions.TryGetValue(version, out var words))
            _versions.Add(version, words = new Words());
        words.Heard[node] = now;
        if (isWarm)
            words.Warm.Add(node);
        else
            words.Warm.Remove(node);
    }

    /// <summary>Whether a node has said anything about a version.</summary>
    public bool HasHeard(ModelVersionId version, TNode node) => _versions.GetValueOrDefault(version)?.Heard.ContainsKey(node) == true;

    /// <summary>Whether a node's last word on a version is too old, or there is none.</summary>
    public bool IsToBeAsked(ModelVersionId version, TNode node, TimeSpan now) =>
        _versions.GetValueOrDefault(version)?.Heard.TryGetValue(node, out var heard) != true || now - heard >= Trust;

    /// <summary>Who comes back at the same place has nothing in memory.</summary>
    public void Forget(TNode node)
    {
        foreach (var words in _versions.Values)
        {
            words.Heard.Remove(node);
            words.Warm.Remove(node);
        }
    }

    /// <summary>Forgets all versions but these.</summary>
    public void Keep(Func<ModelVersionId, bool> isThere)
    {
        foreach (var gone in _versions.Keys.Where(version => !isThere(version)).ToArray())
            _versions.Remove(gone);
    }

    private sealed class Words
    {
        public Dictionary<TNode, TimeSpan> Heard { get; } = [];

        public HashSet<TNode> Warm { get; } = [];
    }
}
