using Akka.Actor;
using Akka.Cluster;

namespace ClusterNet.Cluster.Training;

/// <summary>A node that can have workers now: it is up, reached, and its worker host has said how many.</summary>
/// <param name="Address">where</param>
/// <param name="Uid">which incarnation</param>
/// <param name="Workers">the most workers of a job there; 0 where it is about to leave</param>
/// <param name="ThreadsPerWorker">the most torch threads of one</param>
internal sealed record WorkerNode(Address Address, int Uid, int Workers, int ThreadsPerWorker);

/// <summary>What <see cref="WorkerNodesActor"/> and its subscribers, on the same node, say to each other.</summary>
internal static class WorkerNodesProtocol
{
    /// <summary>From now on the sender is told of every change, and at once how it is. Doing so again is harmless.</summary>
    public sealed record Subscribe : INoSerializationVerificationNeeded;

    /// <summary>The nodes that can have workers, the longest known first.</summary>
    public sealed record Changed(IReadOnlyList<WorkerNode> Nodes) : INoSerializationVerificationNeeded;
}

/// <summary>
/// Which nodes can have workers, as one node of the cluster sees it: decides, knows no actor. A node that can't be reached has none until it answers again: leaving its workers out costs a generation and no more,
/// while downing it is slow and for the split-brain resolver to decide. Who sees less than half of the members sees no worker at all: its side of a partition stops training.
/// </summary>
internal sealed class WorkerNodes
{
    private readonly Dictionary<UniqueAddress, Entry> _members = [];
    private int _seen;

    /// <summary>Those that can have workers, the longest known first.</summary>
    public IReadOnlyList<WorkerNode> Usable => IsMinority ? [] :
    [
        .. _members.Where(member => member.Value is { IsWorker: true, IsUp: true, IsReachable: true, Workers: not null })
            .OrderBy(member => member.Value.Age)
            .Select(member => new WorkerNode(member.Key.Address, member.Key.Uid, member.Value.Workers!.Value, member.Value.Threads)),
    ];

    /// <summary>Those whose host has not said yet, or not again, how many workers it can have.</summary>
    public IReadOnlyList<Address> Unknown =>
        [.. _members.Where(member => member.Value is { IsWorker: true, IsUp: true, IsReachable: true, Workers: null }).Select(member => member.Key.Address)];

    private bool IsMinority => _members.Values.Count(member => member.IsReachable) < _members.Values.Count(member => !member.IsReachable);

    /// <summary>A member is there, or has another status.</summary>
    public void Set(UniqueAddress node, bool isWorker, bool isUp)
    {
        var entry = _members.TryGetValue(node, out var known) ? known : _members[node] = new Entry { Age = _seen++ };
        (entry.IsWorker, entry.IsUp) = (isWorker, isUp);
    }

    /// <summary>A member is gone.</summary>
    public void Remove(UniqueAddress node) => _members.Remove(node);

    /// <summary>The failure detector has changed its mind.</summary>
    public void SetReachable(UniqueAddress node, bool isReachable)
    {
        if (!_members.TryGetValue(node, out var entry))
            return;
        entry.IsReachable = isReachable;
        // who comes back has to answer again
        entry.Workers = null;
    }

    /// <summary>The host there has said what it can have.</summary>
    public void Answered(Address address, int workers, int threads)
    {
        foreach (var (_, entry) in At(address))
            (entry.Workers, entry.Threads, entry.Question) = (workers, threads, null);
    }

    /// <summary>It may be gone: it is asked, and <see cref="IsSilent"/> tells whether it has not answered.</summary>
    /// <param name="address">of the node</param>
    /// <param name="question">identifies this question</param>
    /// <returns>whether there is a node to ask</returns>
    public bool Ask(Address address, long question)
    {
        var any = false;
        foreach (var (_, entry) in At(address).Where(member => member.Value.Workers is not null))
        {
            entry.Question ??= question;
            any = true;
        }
        return any;
    }

    /// <summary>A question was not answered in time: the node has no workers until it answers.</summary>
    public bool IsSilent(Address address, long question)
    {
        var any = false;
        foreach (var (_, entry) in At(address).Where(member => member.Value.Question == question))
        {
            (entry.Workers, entry.Question) = (null, null);
            any = true;
        }
        return any;
    }

    private IEnumerable<KeyValuePair<UniqueAddress, Entry>> At(Address address) => _members.Where(member => member.Key.Address.Equals(address));

    private sealed class Entry
    {
        public bool IsWorker { get; set; }

        public bool IsUp { get; set; }

        public bool IsReachable { get; set; } = true;

        /// <summary>In the order that they were first seen in.</summary>
        public int Age { get; init; }

        public int? Workers { get; set; }

        public int Threads { get; set; }

        /// <summary>The first question that was not answered yet.</summary>
        public long? Question { get; set; }
    }
}

/// <summary>How the workers of a job are spread over the nodes.</summary>
internal static class WorkerSpread
{
    /// <summary>One to each node in turn, the longest known first, until there are enough or the nodes are full.</summary>
    /// <param name="nodes">the longest known first</param>
    /// <param name="wanted">workers of the job</param>
    /// <param name="threads">torch threads of each: a node that allows fewer gets none</param>
    public static IReadOnlyList<(WorkerNode Node, int Count)> Over(IReadOnlyList<WorkerNode> nodes, int wanted, int threads)
    {
        var counts = new int[nodes.Count];
        for (var placed = -1; placed != 0 && wanted > 0;)
        {
            placed = 0;
            for (var i = 0; i < counts.Length && wanted > 0; i++)
            {
                if (nodes[i].ThreadsPerWorker < threads || counts[i] >= nodes[i].Workers)
                    continue;
                counts[i]++;
                placed++;
                wanted--;
            }
        }
        return [.. nodes.Zip(counts, (node, count) => (node, count)).Where(pair => pair.count > 0)];
    }
}
