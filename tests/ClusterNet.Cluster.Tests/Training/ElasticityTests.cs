using Akka.Actor;
using Akka.TestKit;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>Workers join and leave at any time: each change is a generation that keeps what the shards have, and only what the step at hand lacks is computed.</summary>
public sealed class ElasticityTests : CoordinatorTests
{
    [Fact]
    public async Task A_worker_that_comes_late_enters_by_a_generation_that_rolls_nothing_back()
    {
        var (coordinator, first) = await StartLaterAsync();
        await Workers[1].ExpectNoMsgAsync(TimeSpan.Zero);
        Come(coordinator, Workers[1], Here);
        var open = await NextAsync(first);
        Assert.Null(open.RestoreStep);
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(open.Shard, open.Generation, 3));
        foreach (var worker in Workers)
        {
            var assign = (WorkerProtocol.Commands.Assign)await worker.FishForMessageAsync(message => message is WorkerProtocol.Commands.Assign { Step: 3 });
            Assert.Equal(1, Assert.Single(assign.Nodes).Level);
        }
    }

    [Fact]
    public async Task Only_the_slices_that_the_step_at_hand_lacks_are_computed_and_only_once()
    {
        var (coordinator, first) = await StartLaterAsync();
        Come(coordinator, Workers[1], Here);
        var open = await NextAsync(first);
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(open.Shard, open.Generation, 3) { MissingSlices = [1] });
        var nodes = new List<TreeNode>();
        foreach (var worker in Workers)
        {
            var assign = (WorkerProtocol.Commands.Assign)await worker.FishForMessageAsync(message => message is WorkerProtocol.Commands.Assign { Step: 3 });
            nodes.AddRange(assign.FirstNodes!);
        }
        Assert.Equal([new TreeNode(0, 1)], nodes);
    }

    [Fact]
    public async Task A_node_that_does_not_answer_is_left_out_at_once_and_let_in_when_it_answers_again()
    {
        var (coordinator, generation) = await StartOnTwoNodesAsync();
        Tell(coordinator, Here);
        var without = await NextAsync(generation);
        Assert.Null(without.RestoreStep);
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(without.Shard, without.Generation, 2));
        var alone = (WorkerProtocol.Commands.Assign)await Workers[0].FishForMessageAsync(message => message is WorkerProtocol.Commands.Assign { Step: 2 });
        Assert.Equal(TreeNode.Root(4), Assert.Single(alone.Nodes));
        // what it still sends does not bring it back
        Come(coordinator, Workers[1], There);
        Tell(coordinator, Here, There);
        await OtherHost.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 1);
        Come(coordinator, Workers[1], There);
        var again = await NextAsync(without.Generation);
        Assert.Null(again.RestoreStep);
    }

    [Fact]
    public async Task The_workers_of_a_node_that_leaves_are_let_go_and_the_others_take_their_slices()
    {
        var (coordinator, generation) = await StartOnTwoNodesAsync();
        Tell(coordinator, Here, There with { Workers = 0 });
        await Workers[1].FishForMessageAsync(message => message is WorkerProtocol.Commands.Release);
        Assert.Null((await NextAsync(generation)).RestoreStep);
        // and a node that is left replaces it
        await Host.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 2);
    }

    [Fact]
    public async Task A_node_that_comes_takes_workers_over_once_its_own_are_ready()
    {
        var (coordinator, generation) = await StartAsync();
        Tell(coordinator, Here, There);
        await OtherHost.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 1);
        var newcomer = CreateTestProbe();
        Come(coordinator, newcomer, There);
        var open = await NextAsync(generation);
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(open.Shard, open.Generation, 1));
        await newcomer.FishForMessageAsync(message => message is WorkerProtocol.Commands.Assign { Step: 1 });
        await Workers[0].FishForMessageAsync(message => message is WorkerProtocol.Commands.Assign { Step: 1 });
        await Workers[1].FishForMessageAsync(message => message is WorkerProtocol.Commands.Release);
    }

    [Fact]
    public async Task A_shard_that_moves_waits_for_a_checkpoint_where_all_stand_so_that_no_step_is_lost()
    {
        var (coordinator, generation) = await StartAsync();
        Shard.Send(coordinator, new ParameterProtocol.Replies.Leaving(new ShardId(TestJobs.Id, 0), generation));
        await Workers[0].FishForMessageAsync(message => message is WorkerProtocol.Commands.Hold);
        Shard.Send(coordinator, Steps(generation, 0, 7));
        Workers[0].Send(coordinator, new WorkerProtocol.Replies.Reached(TestJobs.Id, generation, 7));
        Assert.Equal(7, (await FishShardAsync<ParameterProtocol.Commands.TakeCheckpoint>()).Step);
        Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, 7));
        await FishShardAsync<ParameterProtocol.Commands.Go>();
        Sys.Stop(Shard.Ref);
        Assert.Equal(7, (await NextAsync(generation)).RestoreStep);
    }

    [Fact]
    public async Task A_coordinator_that_moves_commits_where_all_stand_and_goes_on_elsewhere()
    {
        var (coordinator, generation) = await StartAsync();
        Watch(coordinator);
        coordinator.Tell(Commands.HandOff.Instance);
        await Workers[0].FishForMessageAsync(message => message is WorkerProtocol.Commands.Hold);
        Shard.Send(coordinator, Steps(generation, 0, 5));
        Workers[0].Send(coordinator, new WorkerProtocol.Replies.Reached(TestJobs.Id, generation, 5));
        await FishShardAsync<ParameterProtocol.Commands.TakeCheckpoint>();
        Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, 5));
        await ExpectTerminatedAsync(coordinator);
        var successor = Create();
        Tell(successor, Here);
        await Host.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(_ => true);
        Enlist(successor);
        Assert.Equal(5, (await NextAsync(generation)).RestoreStep);
    }

    private void Come(IActorRef coordinator, Akka.TestKit.TestProbe worker, WorkerNode node)
    {
        Elsewhere[worker.Ref] = node.Address;
        worker.Send(coordinator, new WorkerProtocol.Replies.Enlisted(TestJobs.Id));
    }

    [Fact]
    public async Task A_node_that_has_not_the_job_s_data_is_left_out_and_the_others_do_all_of_it()
    {
        var coordinator = await SubmitAsync(Here, There);
        Come(coordinator, Workers[0], Here);
        CanNot(coordinator, Workers[1], There, "data.source: not here");
        // the node that is left has both workers now
        await Host.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 2);
        var second = CreateTestProbe();
        Come(coordinator, second, Here);
        await OpenAsync(coordinator);
        foreach (var worker in new[] { Workers[0], second })
            await worker.FishForMessageAsync(message => message is WorkerProtocol.Commands.Assign { Step: 0 });
        var leftOut = Assert.Single((await DetailsAsync(coordinator)).LeftOut);
        Assert.Equal(new NodeLeftOut("there:2", "data.source: not here"), leftOut);
    }

    [Fact]
    public async Task A_node_that_comes_and_has_not_the_job_s_data_disturbs_nobody_and_is_asked_again_when_it_was_started_again()
    {
        var (coordinator, generation) = await StartAsync();
        Tell(coordinator, Here, There);
        await OtherHost.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 1);
        var newcomer = CreateTestProbe();
        CanNot(coordinator, newcomer, There, "data.source: not here");
        Assert.Single((await DetailsAsync(coordinator)).LeftOut);
        await Shards.ExpectNoMsgAsync(TimeSpan.Zero);
        var anew = There with { Uid = There.Uid + 1 };
        Tell(coordinator, Here, anew);
        await OtherHost.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 1);
        Assert.Empty((await DetailsAsync(coordinator)).LeftOut);
        var good = CreateTestProbe();
        Come(coordinator, good, There);
        Assert.Null((await NextAsync(generation)).RestoreStep);
    }

    [Fact]
    public async Task Where_no_node_has_the_job_s_data_it_fails_and_says_of_which_node_what_is_true()
    {
        var coordinator = await SubmitAsync(Here, There);
        CanNot(coordinator, Workers[0], Here, "data.source: not here");
        CanNot(coordinator, Workers[0], Here, "data.source: not here");
        Assert.Equal(JobStatus.Preparing, (await DetailsAsync(coordinator)).Summary.Status);
        CanNot(coordinator, Workers[1], There, "data.source: another one");
        // which is not certain before others had time to come
        await Directory.FishForMessageAsync<Commands.Note>(note => !note.IsUnderWay);
        var details = await DetailsAsync(coordinator);
        Assert.Equal(JobStatus.Failed, details.Summary.Status);
        Assert.Equal("data.source: not here (at here:1); data.source: another one (at there:2)", details.Progress.Failure);
    }

    [Fact]
    public async Task A_node_that_is_all_there_is_is_not_waited_for()
    {
        var coordinator = await SubmitAsync(Here);
        CanNot(coordinator, Workers[0], Here, "data.source: not here");
        var details = await DetailsAsync(coordinator);
        Assert.Equal((JobStatus.Failed, "data.source: not here"), (details.Summary.Status, details.Progress.Failure));
    }

    [Fact]
    public async Task A_job_waits_for_nodes_that_had_its_data_rather_than_fail_for_one_that_has_not()
    {
        var (coordinator, generation) = await StartAsync();
        Tell(coordinator, There);
        await OtherHost.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 2);
        CanNot(coordinator, CreateTestProbe(), There, "data.source: not here");
        Assert.NotEqual(JobStatus.Failed, (await DetailsAsync(coordinator)).Summary.Status);
        Tell(coordinator, Here with { Uid = 7 }, There);
        await Host.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(enlist => enlist.Count == 2);
        Enlist(coordinator);
        Assert.Null((await NextAsync(generation)).RestoreStep);
    }

    private void CanNot(IActorRef coordinator, TestProbe worker, WorkerNode node, string reason)
    {
        Elsewhere[worker.Ref] = node.Address;
        worker.Send(coordinator, new WorkerProtocol.Replies.WorkFailed(TestJobs.Id, Generation.None, reason));
    }

    private async Task<JobDetails> DetailsAsync(IActorRef coordinator)
    {
        coordinator.Tell(new Queries.GetDetails(TestJobs.Id));
        return (JobDetails)await FishForMessageAsync(message => message is JobDetails);
    }

    private async Task<ParameterProtocol.Commands.Open> NextAsync(Generation generation) =>
        await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.Generation > generation);

    /// <summary>With the first worker alone: the second does not come in time.</summary>
    private async Task<(IActorRef Coordinator, Generation Generation)> StartLaterAsync()
    {
        var coordinator = await SubmitAsync(Here);
        Come(coordinator, Workers[0], Here);
        return (coordinator, await OpenAsync(coordinator));
    }

    private async Task<(IActorRef Coordinator, Generation Generation)> StartOnTwoNodesAsync()
    {
        var coordinator = await SubmitAsync(Here, There);
        Come(coordinator, Workers[0], Here);
        Come(coordinator, Workers[1], There);
        return (coordinator, await OpenAsync(coordinator));
    }

    private async Task<IActorRef> SubmitAsync(params WorkerNode[] nodes)
    {
        var coordinator = Create();
        coordinator.Tell(new Commands.Submit(TestJobs.Id, Spec, TestJobs.PlanOf(Spec, TestJobs.Layout(9))));
        await ExpectMsgAsync<Replies.Accepted>();
        Tell(coordinator, nodes);
        return coordinator;
    }

    private async Task<Generation> OpenAsync(IActorRef coordinator)
    {
        var open = await Shards.ExpectMsgAsync<ParameterProtocol.Commands.Open>();
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(open.Shard, open.Generation, 0));
        await FishShardAsync<ParameterProtocol.Commands.Meet>();
        return open.Generation;
    }
}
