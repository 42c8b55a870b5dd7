using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ClusterNet.Cluster.Serving;

/// <summary>The nodes that can answer, and how much each of them has to do for one router.</summary>
/// <typeparam name="TNode">a node</typeparam>
/// <param name="self">this one: the first choice among equals, since nothing has to travel; null where it does not serve</param>
internal sealed class ReplicaBook<TNode>(TNode? self)
    where TNode : class
{
    private readonly Dictionary<TNode, Node> _nodes = [];

    /// <summary>Nodes that can be sent to.</summary>
    public IEnumerable<TNode> Usable => _nodes.Where(pair => pair.Value.IsUsable).Select(pair => pair.Key);

    /// <summary>All nodes.</summary>
    public IEnumerable<TNode> All => _nodes.Keys;

    /// <summary>A node serves.</summary>
    /// <param name="node">which</param>
    /// <param name="name">its name in settings</param>
    /// <param name="address">what its place among replicas follows from: the same for all routers</param>
    public void Add(TNode node, string name, string address)
    {
        if (_nodes.TryGetValue(node, out var known))
            known.IsUsable = true;
        else
            _nodes.Add(node, new Node(name, address));
    }

    public bool Remove(TNode node) => _nodes.Remove(node);

    /// <summary>Whether something changed.</summary>
    public bool SetUsable(TNode node, bool isUsable)
    {
        if (!_nodes.TryGetValue(node, out var known) || known.IsUsable == isUsable)
            return false;
        known.IsUsable = isUsable;
        return true;
    }

    public bool IsUsable(TNode node) => _nodes.TryGetValue(node, out var known) && known.IsUsable;

    public void Sent(TNode node)
    {
        if (_nodes.TryGetValue(node, out var known))
            known.Outstanding++;
    }

    public void Answered(TNode node)
    {
        if (_nodes.TryGetValue(node, out var known) && known.Outstanding > 0)
            known.Outstanding--;
    }

    /// <summary>The nodes that are to have a model.</summary>
    /// <param name="model">its name</param>
    /// <param name="replicas">how many; 0 for all</param>
    /// <param name="placement">names of nodes; empty for any</param>
    public IReadOnlyList<TNode> ReplicasOf(string model, int replicas, IReadOnlyList<string> placement)
    {
        var able = _nodes.Where(pair => pair.Value.IsUsable && (placement.Count == 0 || placement.Contains(pair.Value.Name)));
        return replicas == 0
            ? [.. able.Select(pair => pair.Key)]
            : [.. able.OrderBy(pair => pair.Value.RankFor(model)).ThenBy(pair => pair.Value.Address, StringComparer.Ordinal).Take(replicas).Select(pair => pair.Key)];
    }

    /// <summary>The one of them that has the least to do; null where none is left.</summary>
    /// <param name="model">its name</param>
    /// <param name="replicas">how many; 0 for all</param>
    /// <param name="placement">names of nodes; empty for any</param>
    /// <param name="tried">none of these</param>
    /// <param name="among">one of these; null for any</param>
    public TNode? Choose(string model, int replicas, IReadOnlyList<string> placement, IReadOnlySet<TNode>? tried, IReadOnlySet<TNode>? among = null)
    {
        TNode? best = null;
        var least = int.MaxValue;
        if (replicas == 0 && placement.Count == 0)
        {
            foreach (var (node, known) in _nodes)
            {
                if (known.IsUsable)
                    Consider(node, known.Outstanding);
            }
            return best;
        }
        foreach (var node in ReplicasOf(model, replicas, placement))
            Consider(node, _nodes[node].Outstanding);
        return best;

        void Consider(TNode node, int outstanding)
        {
            if (tried?.Contains(node) == true || among?.Contains(node) == false || outstanding > least || (outstanding == least && best is not null && !node.Equals(self)))
                return;
            (best, least) = (node, outstanding);
        }
    }

    private sealed class Node(string name, string address)
    {
        private readonly Dictionary<string, ulong> _ranks = new(StringComparer.Ordinal);

        public string Name { get; } = name;

        public string Address { get; } = address;

        public int Outstanding { get; set; }

        public bool IsUsable { get; set; } = true;

        /// <summary>Rendezvous hashing: a node that goes moves only what it had.</summary>
        public ulong RankFor(string model)
        {
            if (!_ranks.TryGetValue(model, out var rank))
                _ranks[model] = rank = BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{model}\0{Address}")));
            return rank;
        }
    }
}
