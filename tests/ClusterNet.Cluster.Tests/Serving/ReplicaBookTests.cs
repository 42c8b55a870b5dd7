using ClusterNet.Cluster.Serving;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Requests go to the replica that has the least to do, all routers agree on the replicas, and a node that goes takes only its own along.</summary>
public sealed class ReplicaBookTests
{
    [Fact]
    public void The_one_with_the_least_to_do_is_chosen_and_this_node_among_equals()
    {
        var book = Book("a", "b", "c");
        Assert.Equal("b", book.Choose("m", 0, [], null));
        book.Sent("b");
        book.Sent("a");
        Assert.Equal("c", book.Choose("m", 0, [], null));
        book.Answered("b");
        Assert.Equal("b", book.Choose("m", 0, [], null));
        Assert.Equal("c", book.Choose("m", 0, [], new HashSet<string> { "b" }));
    }

    [Fact]
    public void What_can_not_be_used_or_was_tried_is_not_chosen()
    {
        var book = Book("a", "b");
        book.SetUsable("b", false);
        Assert.Equal("a", book.Choose("m", 0, [], null));
        Assert.Null(book.Choose("m", 0, [], new HashSet<string> { "a" }));
    }

    [Fact]
    public void Placement_names_the_nodes()
    {
        var book = Book("a", "b", "c");
        Assert.Equal(["c"], book.ReplicasOf("m", 2, ["c", "nowhere"]));
        Assert.Equal("c", book.Choose("m", 0, ["c"], null));
    }

    [Fact]
    public void All_routers_agree_and_a_node_that_goes_moves_only_its_own_models()
    {
        Gen.Int[2, 8].SelectMany(nodes => Gen.Select(Gen.Const(nodes), Gen.Int[1, nodes], Gen.Int[0, nodes - 1])).Sample((nodes, replicas, gone) =>
        {
            string[] names = [.. Enumerable.Range(0, nodes).Select(i => $"n{i}")];
            var (one, other, after) = (Book(names), Book([.. names.Reverse()]), Book([.. names.Where((_, i) => i != gone)]));
            return Enumerable.Range(0, 20).All(m =>
            {
                var before = one.ReplicasOf($"m{m}", replicas, []);
                return before.SequenceEqual(other.ReplicasOf($"m{m}", replicas, []))
                    && (nodes == 1 || before.Where(node => node != names[gone]).All(after.ReplicasOf($"m{m}", replicas, []).Contains));
            });
        });
    }

    private static ReplicaBook<string> Book(params string[] nodes)
    {
        var book = new ReplicaBook<string>("b");
        foreach (var node in nodes)
            book.Add(node, node, $"akka://{node}");
        return book;
    }
}
