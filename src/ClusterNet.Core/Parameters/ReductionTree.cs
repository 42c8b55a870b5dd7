using System.Numerics.Tensors;

namespace ClusterNet.Core.Parameters;

/// <summary>What became of an offered tree node.</summary>
public enum OfferOutcome
{
    /// <summary>New; taken into the sum.</summary>
    Accepted,

    /// <summary>All of its slices were there already.</summary>
    Duplicate,
}

/// <summary>
/// Adds the slice gradients of one step along the fixed pairwise tree. Whatever nodes arrive, in whatever order and however often, the root is the same bits, because each inner
/// node is always left + right. Not thread-safe.
/// </summary>
public sealed class ReductionTree
{
    private readonly TensorBufferPool _pool;
    private readonly Dictionary<TreeNode, Part> _parts = [];
    private readonly TreeNode _root;

    /// <param name="slices">a power of two</param>
    /// <param name="pool">gives the arrays for sums; its length is that of every part</param>
    public ReductionTree(int slices, TensorBufferPool pool)
    {
        if (!int.IsPow2(slices))
            throw new ArgumentException($"{slices} slices: not a power of two", nameof(slices));
        Slices = slices;
        _pool = pool;
        _root = TreeNode.Root(slices);
    }

    /// <summary>The number of slices.</summary>
    public int Slices { get; }

    /// <summary>Whether the root is there.</summary>
    public bool IsComplete => _parts.ContainsKey(_root);

    /// <summary>The sum of all slices.</summary>
    /// <exception cref="KeyNotFoundException">not complete yet</exception>
    public Part Root => _parts[_root];

    /// <summary>The slices that are still lacking, in order.</summary>
    public IEnumerable<int> Missing =>
        Enumerable.Range(0, Slices).Where(slice => !_parts.Keys.Any(node => node.Covers(new TreeNode(0, slice))));

    /// <summary>Whether all slices of <paramref name="node"/> are there already.</summary>
    public bool Holds(TreeNode node) => _parts.Keys.Any(held => held.Covers(node));

    /// <summary>Takes a node, and with it one hold on <paramref name="part"/>'s buffer, unless it is a duplicate.</summary>
    /// <exception cref="ArgumentException">the node is not of this tree, or the part is not of the pool's length</exception>
    public OfferOutcome Offer(TreeNode node, Part part)
    {
        if (!node.IsIn(Slices))
            throw new ArgumentException($"{node} is no node of a tree over {Slices} slices", nameof(node));
        if (part.Length != _pool.Length)
            throw new ArgumentException($"{part.Length} elements where {_pool.Length} belong", nameof(part));
        if (Holds(node))
            return OfferOutcome.Duplicate;
        foreach (var below in _parts.Keys.Where(node.Covers).ToArray())
            Remove(below).Release();
        _parts.Add(node, part);
        while (node != _root && _parts.ContainsKey(node.Sibling))
        {
            var (left, right) = node.IsLeft ? (Remove(node), Remove(node.Sibling)) : (Remove(node.Sibling), Remove(node));
            var sum = _pool.Rent();
            TensorPrimitives.Add(left.Span, right.Span, sum.Span);
            left.Release();
            right.Release();
            node = node.Parent;
            _parts.Add(node, new Part(sum, 0, _pool.Length, left.Statistics + right.Statistics));
        }
        return OfferOutcome.Accepted;
    }

    /// <summary>Lets go of every buffer, for the next step.</summary>
    public void Clear()
    {
        foreach (var part in _parts.Values)
            part.Release();
        _parts.Clear();
    }

    private Part Remove(TreeNode node)
    {
        _parts.Remove(node, out var part);
        return part;
    }

    /// <summary>One addend: a run of a buffer, and what goes with it.</summary>
    /// <param name="Buffer">holds the values</param>
    /// <param name="Offset">of the first</param>
    /// <param name="Length">how many</param>
    /// <param name="Statistics">added along</param>
    public readonly record struct Part(TensorBuffer Buffer, int Offset, int Length, StepStatistics Statistics)
    {
        /// <summary>The values.</summary>
        public ReadOnlySpan<float> Span => Buffer.Span.Slice(Offset, Length);

        /// <summary>The values, for who can't have a span.</summary>
        public ReadOnlyMemory<float> Memory => Buffer.Memory.Slice(Offset, Length);

        /// <summary>Lets go of the buffer.</summary>
        public void Release() => Buffer.Release();
    }
}
