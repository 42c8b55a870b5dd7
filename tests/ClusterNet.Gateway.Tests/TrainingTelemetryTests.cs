using System.Diagnostics;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Tests;
using ClusterNet.Cluster.Tests.Clusters;
using ClusterNet.Cluster.Training;
using ClusterNet.Data;
using static ClusterNet.Cluster.Telemetry.TelemetryNames;

namespace ClusterNet.Gateway.Tests;

/// <summary>What is shown of a training is what happened: one trace that holds together, counters that add up, log lines that say which job they are about.</summary>
[Collection(OneByOne.Name)]
public sealed class TrainingTelemetryTests
{
    [Fact]
    public async Task A_job_is_one_trace_from_its_submission_to_its_version()
    {
        using var listening = new Listening();
        await using var observed = await ObservedCluster.StartAsync();
        var spec = TestJobs.Wdbc("mlp", training => training with { Workers = 2, Shards = 2 });
        var details = await observed.TrainAsync(spec);
        Assert.Equal(JobStatus.Completed, details.Summary.Status);

        var root = Assert.Single(listening.Activities, activity => activity.OperationName == Activities.Submit);
        var trace = listening.Activities.Where(activity => activity.TraceId == root.TraceId).ToArray();
        var ids = trace.Select(activity => activity.SpanId).ToHashSet();
        Assert.Equal(default, root.ParentSpanId);
        Assert.All(trace.Where(activity => activity != root), activity => Assert.Contains(activity.ParentSpanId, ids));
        foreach (var (name, parent) in new[]
        {
            (Activities.Run, Activities.Submit), (Activities.Generation, Activities.Run), (Activities.Epoch, Activities.Generation), (Activities.Evaluation, Activities.Generation),
            (Activities.CheckpointCommit, Activities.Generation), (Activities.Publish, Activities.Generation), (Activities.Step, Activities.Epoch), (Activities.Update, Activities.Step),
            (Activities.Checkpoint, Activities.Generation),
        })
        {
            var found = trace.Where(activity => activity.OperationName == name).ToArray();
            Assert.True(found.Length > 0, $"there is no '{name}'");
            Assert.All(found, activity => Assert.Equal(parent, trace.Single(other => other.SpanId == activity.ParentSpanId).OperationName));
        }
        Assert.All(trace, activity => Assert.Equal(details.Summary.Job.Value, activity.GetTagItem(Tags.Job)));
        // every worker's first step is there, and for each the update at every shard
        Assert.Equal(2, trace.Count(activity => activity.OperationName == Activities.Step && Equals(activity.GetTagItem(Tags.Step), 0L)));
    }

    [Fact]
    public async Task A_trace_goes_from_node_to_node_by_either_road()
    {
        using var listening = new Listening();
        await using var nodes = new Nodes();
        await nodes.StartAsync(new NodeOptions { Name = "holds", Roles = [Roles.Coordinator, Roles.Parameters, Roles.Inference] });
        var computes = await nodes.StartAsync(new NodeOptions { Name = "computes", Roles = [Roles.Worker] });
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        var job = await computes.Cluster.SubmitAsync(TestJobs.Xor(), patience.Token);
        await foreach (var progress in computes.Cluster.WatchAsync(job, patience.Token))
            Assert.NotEqual(JobStatus.Failed, progress.Status);

        var root = Assert.Single(listening.Activities, activity => activity.OperationName == Activities.Submit);
        var trace = listening.Activities.Where(activity => activity.TraceId == root.TraceId).ToArray();
        var step = trace.First(activity => activity.OperationName == Activities.Step);
        Assert.True(step.HasRemoteParent);
        Assert.Contains(trace, activity => activity.OperationName == Activities.Update && activity.ParentSpanId == step.SpanId && activity.HasRemoteParent);
        listening.ReadGauges();
        foreach (var direction in new[] { "sent", "received" })
            Assert.NotEqual(0, listening.Sum(Instruments.LaneMessages, (Tags.Direction, direction)));
    }

    [Fact]
    public async Task Counters_add_up_to_what_was_trained()
    {
        using var listening = new Listening();
        await using var observed = await ObservedCluster.StartAsync();
        var spec = TestJobs.Xor(training => training with { Steps = 25 });
        var details = await observed.TrainAsync(spec, progress =>
        {
            if (progress.Status == JobStatus.Training)
                listening.ReadGauges();
            return Task.CompletedTask;
        });
        var job = (Tags.Job, (object)details.Summary.Job.Value);
        Assert.Equal(25, details.Result!.Steps);
        Assert.Equal(25, listening.Sum(Instruments.Steps, job));
        Assert.Equal(100, listening.Sum(Instruments.Samples, job));
        Assert.Equal(25, listening.Sum(Instruments.Updates, job));
        // one worker and one shard: the root of the tree, once a step, whatever was pushed again
        Assert.Equal(25, listening.Sum(Instruments.Pushes, job, (Tags.Outcome, "applied")));
        Assert.Equal(1, listening.Sum(Instruments.GenerationChanges, job, (Tags.Reason, "start")));
        Assert.Equal(25, listening.Of(Instruments.StepDuration, job).Count());
        Assert.Equal(25, listening.Of(Instruments.ComputeDuration, job).Count());
        Assert.Equal(25, listening.Of(Instruments.WaitDuration, job).Count());
        Assert.Equal(0, listening.Sum(Instruments.Staleness, job));
        Assert.True(listening.Sum(Instruments.CheckpointBytes, job) > 0);
        Assert.NotEmpty(listening.Of(Instruments.CommitDuration, job));
        Assert.Equal(0, listening.Sum(Instruments.StoreFailures));
        listening.ReadGauges();
        Assert.Equal(1, listening.Of(Instruments.Members, (Tags.Status, "up")).Last().Value);
        Assert.Equal(0, listening.Of(Instruments.Unreachable).Last().Value);
    }

    [Fact]
    public async Task A_store_that_fails_is_counted()
    {
        using var listening = new Listening();
        await using var observed = await ObservedCluster.StartAsync();
        observed.Store.FailSnapshots = "shard-";
        var details = await observed.TrainAsync(TestJobs.Xor(training => training with { Steps = 12 }));
        var job = (Tags.Job, (object)details.Summary.Job.Value);
        Assert.NotEqual(0, listening.Sum(Instruments.StoreFailures, (Tags.Operation, "checkpoint")));
        Assert.NotEqual(0, listening.Sum(Instruments.CheckpointFailures, job));
        Assert.Equal(0, listening.Sum(Instruments.CheckpointBytes, job));
    }

    [Fact]
    public async Task Log_lines_about_a_job_say_which_and_where_it_stands()
    {
        await using var observed = await ObservedCluster.StartAsync();
        observed.Store.FailSnapshots = "shard-";
        var details = await observed.TrainAsync(TestJobs.Xor(training => training with { Steps = 12 }));
        var failures = observed.Log.Lines.Where(line => line.Text.Contains("checkpoint of step", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(failures);
        Assert.All(failures, line =>
        {
            Assert.Equal(details.Summary.Job.Value, line.Properties[JobLog.Job]?.ToString());
            Assert.Equal("1", line.Properties[JobLog.Generation]?.ToString());
            // the checkpoint's, however far the job has come since
            Assert.Contains($"checkpoint of step {line.Properties[JobLog.Step]} ", line.Text, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_prediction_is_one_trace_from_the_question_to_the_batch()
    {
        using var listening = new Listening();
        await using var observed = await ObservedCluster.StartAsync();
        var details = await observed.TrainAsync(TestJobs.Xor());
        await observed.Cluster.PredictAsync(details.Result!.Version, new RawSamples.Table(["x1", "x2"], [["0", "1"], ["1", "1"]]));

        var root = Assert.Single(listening.Activities, activity => activity.OperationName == Activities.Predict);
        var request = Assert.Single(listening.Activities, activity => activity.OperationName == Activities.Request);
        var batch = Assert.Single(listening.Activities, activity => activity.OperationName == Activities.Batch);
        Assert.Equal((root.TraceId, root.SpanId), (request.TraceId, request.ParentSpanId));
        Assert.Equal((root.TraceId, request.SpanId), (batch.TraceId, batch.ParentSpanId));
        Assert.Equal(request.Context.SpanId, Assert.Single(batch.Links).Context.SpanId);
        Assert.Equal(1, listening.Sum(Instruments.InferenceRequests, (Tags.Model, "test"), (Tags.Outcome, "answered")));
        Assert.Equal(2, listening.Sum(Instruments.InferenceBatch, (Tags.Model, "test")));
        Assert.Single(listening.Of(Instruments.InferenceDuration));
    }

    [Theory]
    [InlineData("start", "start")]
    [InlineData("shard 3 is gone", "shard is gone")]
    [InlineData("shard 1 could not go on: step 7 is damaged", "shard could not go on")]
    [InlineData("worker akka.tcp://clusternet@10.0.0.1:4053/user/workers/$a is unreachable", "worker is unreachable")]
    public void Reasons_become_one_of_a_few(string reason, string kind) => Assert.Equal(kind, JobTelemetry.KindOf(reason));

    [Fact]
    public void An_activity_of_an_actor_is_never_the_current_one_and_a_foreign_trace_is_passed_over()
    {
        using var listening = new Listening();
        using var outer = new Activity("outer").Start();
        var rooted = Tracing.Start(Tracing.Training, Activities.Run, "nonsense");
        Assert.Same(outer, Activity.Current);
        Assert.NotEqual(outer.TraceId, rooted!.TraceId);
        Tracing.End(rooted);
        Assert.Same(outer, Activity.Current);
    }
}
