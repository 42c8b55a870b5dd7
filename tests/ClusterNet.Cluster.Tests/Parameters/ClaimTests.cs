using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Parameters;
using CsCheck;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Tests.Parameters;

/// <summary>
/// Claims: with any number of workers of any speed, any number of shards, and messages that arrive in any order between different pairs, every item is computed once, in the end all is complete, and no weights lack more
/// than the bound allows.
/// </summary>
public sealed class ClaimTests
{
    private const int Slices = 8;
    private const int Steps = 12;

    [Fact]
    public void No_weights_lack_more_than_the_bound_and_nobody_waits_for_ever() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 3], Gen.Int[0, 4], Gen.Int).Sample((workers, shards, staleness, seed) => new Simulation(workers, shards, staleness, new Random(seed)).Run(), iter: 300);

    [Fact]
    public void Who_asks_twice_gets_the_same_item()
    {
        var book = new ClaimBook<string>(4, 2, 10, 1);
        book.Reset(3);
        var first = book.Claim("a", 3);
        Assert.Equal(new WorkItem(3, new TreeNode(1, 0)), first);
        Assert.Equal(first, book.Claim("a", 3));
        Assert.Equal(new WorkItem(3, new TreeNode(1, 1)), book.Claim("b", 3));
        book.Done("a", first!);
        Assert.Equal(4, book.Claim("a", 3)!.Step);
    }

    [Fact]
    public void Nobody_gets_an_item_beyond_the_bound_or_the_end()
    {
        var book = new ClaimBook<int>(2, 2, 2, 0);
        book.Reset(0);
        Assert.Equal([0, 0], new[] { book.Claim(1, 0)!.Step, book.Claim(2, 0)!.Step });
        book.Done(1, new WorkItem(0, new TreeNode(0, 0)));
        Assert.Null(book.Claim(1, 0));
        Assert.Equal(1, book.Claim(1, 1)!.Step);
        Assert.Equal(1, book.Claim(3, 1)!.Step);
        Assert.Equal([2, 2], new[] { book.Claim(4, 1)!.Step, book.Claim(5, 1)!.Step });
    }

    [Fact]
    public void Steps_are_complete_in_order_and_a_slice_counts_once()
    {
        var applied = new AppliedSlices(2);
        applied.Reset(5);
        Assert.False(applied.Offer(4, new TreeNode(0, 0), default));
        Assert.True(applied.Offer(6, new TreeNode(1, 0), new StepStatistics(2, 2)));
        Assert.False(applied.Offer(6, new TreeNode(0, 1), default));
        Assert.Empty(applied.Advance());
        Assert.True(applied.Offer(5, new TreeNode(0, 1), new StepStatistics(1, 1)));
        Assert.Empty(applied.Advance());
        Assert.True(applied.Offer(5, new TreeNode(0, 0), new StepStatistics(1, 3)));
        Assert.Equal([new StepStatistics(2, 4), new StepStatistics(2, 2)], applied.Advance());
        Assert.Equal(7, applied.Lowest);
    }

    [Fact]
    public void Backups_are_given_what_only_a_copy_of_came_then_what_came_last()
    {
        var late = new LateNodes(2);
        late.Taken(new TreeNode(0, 0), false);
        late.Taken(new TreeNode(0, 2), false);
        late.Taken(new TreeNode(0, 1), true);
        late.Close();
        Assert.Equal([new TreeNode(0, 1), new TreeNode(0, 2)], late.Nodes);
        late.Taken(new TreeNode(0, 1), true);
        late.Taken(new TreeNode(0, 2), false);
        late.Repeated(new TreeNode(0, 1), false);
        late.Taken(new TreeNode(0, 0), false);
        late.Close();
        Assert.Equal([new TreeNode(0, 0), new TreeNode(0, 2)], late.Nodes);
    }

    /// <summary>Workers and shards as the actors are, with a queue between each pair; whose turn it is, chance decides.</summary>
    private sealed class Simulation
    {
        private readonly int _staleness;
        private readonly Random _random;
        private readonly ClaimState[] _workers;
        private readonly Shard[] _shards;
        private readonly Queue<Action>[,] _toShard;
        private readonly Queue<Action>[,] _toWorker;
        private readonly HashSet<WorkItem> _computed = [];

        public Simulation(int workers, int shards, int staleness, Random random)
        {
            (_staleness, _random) = (staleness, random);
            var book = new ClaimBook<int>(Slices, workers, Steps, staleness);
            book.Reset(0);
            _workers = [.. Enumerable.Range(0, workers).Select(_ => new ClaimState(staleness))];
            _shards = [.. Enumerable.Range(0, shards).Select(i => new Shard(this, i, i == 0 ? book : null))];
            (_toShard, _toWorker) = (Queues(), Queues());

            Queue<Action>[,] Queues()
            {
                var queues = new Queue<Action>[workers, shards];
                for (var w = 0; w < workers; w++)
                {
                    for (var s = 0; s < shards; s++)
                        queues[w, s] = new Queue<Action>();
                }
                return queues;
            }
        }

        public void Run()
        {
            for (var w = 0; w < _workers.Length; w++)
            {
                _workers[w].Enter(_shards.Length, 0);
                Ask(w);
            }
            while (Pending() is { Count: > 0 } pending)
                pending[_random.Next(pending.Count)].Dequeue()();
            Assert.All(_shards, shard => Assert.Equal(Steps, shard.Applied.Lowest));
            Assert.All(_workers, worker => Assert.Equal(Steps, worker.Next!.Step));
        }

        private List<Queue<Action>> Pending() => [.. _toShard.Cast<Queue<Action>>().Concat(_toWorker.Cast<Queue<Action>>()).Where(queue => queue.Count > 0)];

        private void Ask(int worker)
        {
            foreach (var shard in _workers[worker].TakeToAsk())
            {
                var wanted = _workers[worker].Wanted;
                _toShard[worker, shard].Enqueue(() => _shards[shard].Pull(worker, wanted));
            }
        }

        private void Answer(int worker, int shard, long version, WorkItem? applied, WorkItem? claim) => _toWorker[worker, shard].Enqueue(() =>
        {
            var state = _workers[worker];
            state.Accept(shard, version, applied, claim);
            if (!state.IsReady)
                Ask(worker);
            else if (state.Next!.Step < Steps)
                Compute(worker, state);
        });

        private void Compute(int worker, ClaimState state)
        {
            var item = state.Next!;
            Assert.True(_computed.Add(item), $"{item} is computed twice");
            for (var s = 0; s < _shards.Length; s++)
            {
                var shard = _shards[s];
                Assert.InRange(item.Step - state.Basis(s), long.MinValue, _staleness);
                _toShard[worker, s].Enqueue(() => shard.Push(worker, item));
            }
            state.Push();
        }

        private sealed class Shard(Simulation simulation, int index, ClaimBook<int>? book)
        {
            private readonly List<(int Worker, WorkItem? Applied)> _claiming = [];
            private readonly List<(int Worker, long Step)> _pulling = [];

            public AppliedSlices Applied { get; } = new(Slices);

            public void Push(int worker, WorkItem item)
            {
                Assert.True(Applied.Offer(item.Step, item.Node, default));
                Applied.Advance();
                book?.Done(worker, item);
                if (book is null)
                    simulation.Answer(worker, index, Applied.Lowest, item, null);
                else
                    _claiming.Add((worker, item));
                Serve();
            }

            public void Pull(int worker, long step)
            {
                if (book is null)
                    _pulling.Add((worker, step));
                else
                    _claiming.Add((worker, null));
                Serve();
            }

            private void Serve()
            {
                _pulling.RemoveAll(pulling =>
                {
                    if (pulling.Step - Applied.Lowest > simulation._staleness)
                        return false;
                    simulation.Answer(pulling.Worker, index, Applied.Lowest, null, null);
                    return true;
                });
                _claiming.RemoveAll(claiming =>
                {
                    if (book!.Claim(claiming.Worker, Applied.Lowest) is not { } claim)
                        return false;
                    simulation.Answer(claiming.Worker, index, Applied.Lowest, claiming.Applied, claim);
                    return true;
                });
            }
        }
    }
}
