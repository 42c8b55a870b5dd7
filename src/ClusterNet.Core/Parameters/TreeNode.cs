using System.Globalization;
using System.Numerics;

namespace ClusterNet.Core.Parameters;

/// <summary>
/// A node of the pairwise tree that slice gradients are added along. Level 0 holds the slices; node <c>i</c> of level <c>l</c> is the sum of nodes <c>2i</c> and
/// <c>2i + 1</c> of the level below, in this order.
/// </summary>
/// <param name="Level">0 for a slice, log2(slices) for the root</param>
/// <param name="Index">from the left</param>
public readonly record struct TreeNode(int Level, int Index)
{
    /// <summary>The first slice below it.</summary>
    public int FirstSlice => Index << Level;

    /// <summary>How many slices are below it.</summary>
    public int SliceCount => 1 << Level;

    /// <summary>The node it is added to.</summary>
    public TreeNode Parent => new(Level + 1, Index >> 1);

    /// <summary>The node it is added with.</summary>
    public TreeNode Sibling => new(Level, Index ^ 1);

    /// <summary>Whether it is the first addend.</summary>
    public bool IsLeft => (Index & 1) == 0;

    /// <summary>The root of a tree over <paramref name="slices"/> slices, a power of two.</summary>
    public static TreeNode Root(int slices) => new(BitOperations.Log2((uint)slices), 0);

    /// <summary>Whether <paramref name="other"/> is this node or lies below it.</summary>
    public bool Covers(TreeNode other) => other.Level <= Level && other.Index >> (Level - other.Level) == Index;

    /// <summary>Whether it is a node of a tree over <paramref name="slices"/> slices.</summary>
    public bool IsIn(int slices) => Level >= 0 && Level <= BitOperations.Log2((uint)slices) && Index >= 0 && Index < slices >> Level;

    /// <summary>The fewest nodes that cover slices <paramref name="first"/> to <paramref name="first"/> + <paramref name="count"/> - 1, from the left.</summary>
    public static IEnumerable<TreeNode> Cover(int first, int count)
    {
        while (count > 0)
        {
            var aligned = first == 0 ? 31 : BitOperations.TrailingZeroCount(first);
            var level = Math.Min(aligned, BitOperations.Log2((uint)count));
            yield return new TreeNode(level, first >> level);
            first += 1 << level;
            count -= 1 << level;
        }
    }

    /// <summary>Level and index. Not the generated one, which would print <see cref="Parent"/> and its parent and so on without end.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"node {Level}/{Index}");
}
