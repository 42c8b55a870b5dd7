using Akka.Actor;
using Akka.Cluster;
using ClusterNet.Cluster.Training;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>Which nodes can have workers follows from what the cluster says and what they answer: who can't be reached has none, and a minority has none at all.</summary>
public sealed class WorkerNodesTests
{
    private readonly WorkerNodes _nodes = new();

    [Fact]
    public void A_node_is_usable_once_it_is_up_and_has_answered()
    {
        var node = Node(1);
        _nodes.Set(node, isWorker: true, isUp: false);
        Assert.Empty(_nodes.Unknown);
        _nodes.Set(node, isWorker: true, isUp: true);
        Assert.Equal([node.Address], _nodes.Unknown);
        Assert.Empty(_nodes.Usable);
        _nodes.Answered(node.Address, 3, 2);
        Assert.Equal([new WorkerNode(node.Address, node.Uid, 3, 2)], _nodes.Usable);
        _nodes.Set(node, isWorker: true, isUp: false);
        Assert.Empty(_nodes.Usable);
    }

    [Fact]
    public void A_node_that_was_unreachable_has_to_answer_again()
    {
        var nodes = Up(3);
        _nodes.SetReachable(nodes[1], false);
        Assert.Equal([nodes[0].Address, nodes[2].Address], _nodes.Usable.Select(node => node.Address));
        Assert.Empty(_nodes.Unknown);
        _nodes.SetReachable(nodes[1], true);
        Assert.Equal([nodes[1].Address], _nodes.Unknown);
        _nodes.Answered(nodes[1].Address, 1, 1);
        Assert.Equal(3, _nodes.Usable.Count);
    }

    [Fact]
    public void A_lost_connection_costs_nothing_where_the_node_answers_in_time()
    {
        var nodes = Up(2);
        Assert.True(_nodes.Ask(nodes[1].Address, 7));
        Assert.Equal(2, _nodes.Usable.Count);
        _nodes.Answered(nodes[1].Address, 1, 1);
        Assert.False(_nodes.IsSilent(nodes[1].Address, 7));
        Assert.Equal(2, _nodes.Usable.Count);
        Assert.True(_nodes.Ask(nodes[1].Address, 8));
        Assert.True(_nodes.IsSilent(nodes[1].Address, 8));
        Assert.Equal([nodes[0].Address], _nodes.Usable.Select(node => node.Address));
        Assert.Equal([nodes[1].Address], _nodes.Unknown);
    }

    [Fact]
    public void Who_sees_less_than_half_of_the_members_sees_no_worker()
    {
        var nodes = Up(5);
        _nodes.SetReachable(nodes[2], false);
        _nodes.SetReachable(nodes[3], false);
        Assert.Equal(3, _nodes.Usable.Count);
        _nodes.SetReachable(nodes[4], false);
        Assert.Empty(_nodes.Usable);
        _nodes.Remove(nodes[2]);
        _nodes.Remove(nodes[3]);
        Assert.Equal(2, _nodes.Usable.Count);
    }

    [Fact]
    public void A_new_incarnation_of_a_node_is_another_node()
    {
        var old = Up(1)[0];
        _nodes.Remove(old);
        var young = new UniqueAddress(old.Address, 99);
        _nodes.Set(young, isWorker: true, isUp: true);
        Assert.Equal([young.Address], _nodes.Unknown);
        _nodes.Answered(young.Address, 1, 1);
        Assert.Equal(99, Assert.Single(_nodes.Usable).Uid);
    }

    [Theory]
    [InlineData(4, 1, new[] { 2, 2 })]
    [InlineData(5, 1, new[] { 3, 2 })]
    [InlineData(1, 1, new[] { 1 })]
    [InlineData(9, 1, new[] { 4, 2 })]
    [InlineData(4, 3, new[] { 4 })]
    [InlineData(4, 9, new int[0])]
    public void Workers_are_spread_evenly_as_far_as_nodes_can_have_them(int wanted, int threads, int[] expected)
    {
        var nodes = new WorkerNode[] { new(Node(1).Address, 1, 4, 8), new(Node(2).Address, 2, 2, 2) };
        Assert.Equal(expected, WorkerSpread.Over(nodes, wanted, threads).Select(target => target.Count));
    }

    private UniqueAddress[] Up(int count)
    {
        UniqueAddress[] nodes = [.. Enumerable.Range(1, count).Select(Node)];
        foreach (var node in nodes)
        {
            _nodes.Set(node, isWorker: true, isUp: true);
            _nodes.Answered(node.Address, 1, 1);
        }
        return nodes;
    }

    private static UniqueAddress Node(int number) => new(new Address("akka.tcp", "test", "10.0.0." + number, 4053), number);
}
