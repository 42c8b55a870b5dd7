using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// What backup workers compute next: the nodes of the step before that came late. First those that only a copy of arrived, since whoever is to compute them is still behind; then the last to arrive.
/// </summary>
/// <param name="backups">how many nodes are told</param>
internal sealed class LateNodes(int backups)
{
    private readonly List<(TreeNode Node, bool IsCopy)> _arrived = [];
    private readonly HashSet<TreeNode> _behind = [];

    /// <summary>Of the last step that was completed, at most one for each backup.</summary>
    public IReadOnlyList<TreeNode> Nodes { get; private set; } = [];

    /// <summary>A node of the current step was taken.</summary>
    public void Taken(TreeNode node, bool isCopy)
    {
        _arrived.Add((node, isCopy));
        if (isCopy)
            _behind.Add(node);
    }

    /// <summary>A node of the current step came again.</summary>
    public void Repeated(TreeNode node, bool isCopy)
    {
        if (!isCopy)
            _behind.Remove(node);
    }

    /// <summary>The step is complete.</summary>
    public void Close()
    {
        Nodes = [.. _arrived.Where(taken => _behind.Contains(taken.Node)).Concat(Enumerable.Reverse(_arrived).Where(taken => !taken.IsCopy)).Select(taken => taken.Node).Take(backups)];
        Clear();
    }

    public void Clear()
    {
        _arrived.Clear();
        _behind.Clear();
    }
}
