using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;

namespace ClusterNet.Node.Tests.Jobs;

/// <summary>A serving file says what it says, and all that is wrong with it is said at once, with its lines.</summary>
public sealed class ServingFileTests
{
    [Fact]
    public void The_file_that_is_shipped_says_what_holds_without_it()
    {
        var options = ServingFile.Load(Path.Combine(Repository.Root, "config", "serving.yaml"));
        Assert.Equivalent(new ServingOptions(), options, strict: true);
    }

    [Fact]
    public void Models_have_the_defaults_and_what_is_their_own()
    {
        var options = ServingFile.Read(
            """
            defaults: {timeout: 2s, max-batch-size: 32}
            models:
              tumor:
                replicas: 2
                placement: [node-1, node-2]
                max-queue-delay: 1.5ms
                queue: {requests: 10}
                traffic:
                  weights: {production: 95, 7: 5}
                  shadows: [staging]
                  rollback: {canary: 7, max-error-rate: 0.1, max-latency: 100ms, window: 2m}
            """,
            "serving.yaml");
        var tumor = options.Of("tumor");
        Assert.Equal((2, TimeSpan.FromSeconds(2), 32), (tumor.Replicas, tumor.DefaultTimeout, tumor.Actor.MaxBatchSamples));
        Assert.Equal((TimeSpan.FromMilliseconds(1.5), 10, 65536), (tumor.Actor.MaxQueueDelay, tumor.Actor.MaxWaitingRequests, tumor.Actor.MaxWaitingSamples));
        Assert.Equal(["node-1", "node-2"], tumor.Placement);
        Assert.Equal([new TrafficArm("production", 95), new TrafficArm("7", 5)], tumor.Traffic!.Arms);
        Assert.Equal(new RollbackRule("7") { MaxErrorRate = 0.1, MaxLatency = TimeSpan.FromMilliseconds(100), Window = TimeSpan.FromMinutes(2) }, tumor.Traffic.Rollback);
        Assert.Equal((0, 32), (options.Of("other").Replicas, options.Of("other").Actor.MaxBatchSamples));
        Assert.Null(options.Of("other").Traffic);
    }

    [Fact]
    public void All_faults_are_said_at_once_with_their_lines()
    {
        var refused = Assert.Throws<InputException>(() => ServingFile.Read(
            """
            defaults:
              timeout: soon
              max-batch-sise: 3
            models:
              tumor:
                replicas: -1
                max-queue-delay: 1h
                traffic:
                  weights: {production: 0, "a b": 1}
                  rollback: {canary: staging}
            """,
            "serving.yaml"));
        Assert.Equal(
            ["serving.yaml:2", "serving.yaml:3", "serving.yaml:6", "serving.yaml:7", "serving.yaml:9", "serving.yaml:9", "serving.yaml:10"],
            refused.Faults.Select(fault => fault.Place.Split(' ')[0]).Order(StringComparer.Ordinal).OrderBy(place => place.Length));
        Assert.Contains("max-batch-size", refused.Faults.Single(fault => fault.Found == "max-batch-sise").Candidates);
    }
}
