using Akka.Actor;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Tests;

namespace ClusterNet.Cluster.Tests.Clusters;

/// <summary>Nodes that share out the roles are one cluster: any of them takes any question, and a job ends with the same weights as in one process.</summary>
public sealed class ClusterNodeTests
{
    private static readonly JobSpec Job = TestJobs.Wdbc("mlp", training => training with { Workers = 2, Shards = 2 }, ("hidden", ["16"]));

    [SkippableFact]
    public async Task Nodes_of_one_role_each_train_on_PostgreSQL_as_one_process_does()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        await using var nodes = new Nodes();
        foreach (var role in new[] { Roles.Coordinator, Roles.Parameters, Roles.Parameters, Roles.Worker, Roles.Worker, Roles.Inference, Roles.Gateway })
            await nodes.StartAsync(new NodeOptions { Name = $"{role}-{nodes.All.Count}", Roles = [role], Postgres = database.ConnectionString });

        var result = await TrainAsync(nodes, nodes.All[^1].Cluster);
        Assert.Equal(OneHash.ClusterFixture.Plain(Job).SelectedSha256, result.WeightsSha256);

        var samples = new RawSamples.Array([30], new float[30], []);
        foreach (var node in nodes.All)
        {
            Assert.Equal(2, (await node.Cluster.PredictAsync(result.Version, samples).WaitAsync(Nodes.Patience)).Outputs.Length);
            Assert.Equal(result.Version, Assert.Single(await node.Cluster.ModelsAsync()).Id);
        }
        Assert.True((long)(await database.AskAsync("SELECT count(*) FROM journal"))! > 0);
        Assert.All(nodes.All, node => Assert.DoesNotContain("assword", node.Store, StringComparison.Ordinal));
    }

    [Fact]
    public async Task With_SQLite_one_node_has_the_store_and_others_compute()
    {
        await using var nodes = new Nodes();
        await nodes.StartAsync(new NodeOptions { Name = "store", Roles = [Roles.Coordinator, Roles.Parameters, Roles.Inference] });
        await nodes.StartAsync(new NodeOptions { Name = "worker-1", Roles = [Roles.Worker] });
        await nodes.StartAsync(new NodeOptions { Name = "worker-2", Roles = [Roles.Worker] });
        Assert.Equal("none", nodes.All[1].Store);
        // large enough for what nodes of one machine do with tensors
        var job = TestJobs.Wdbc("mlp", training => training with { Workers = 2, Shards = 2 }, ("hidden", ["200", "200"]));
        var training = TrainAsync(nodes, nodes.All[2].Cluster, job);
        // weights and gradients lie in memory that the nodes share, and a job that is over keeps none of it
        await UntilAsync(() => Rented() > 0);
        Assert.Equal(OneHash.ClusterFixture.Plain(job).SelectedSha256, (await training).WeightsSha256);
        await UntilAsync(() => Rented() == 0);

        int Rented() => nodes.All.Sum(node => ClusterNet.Cluster.Lanes.Lane.Get(node.System).Rented);
    }

    [Fact]
    public async Task Requests_of_megabytes_come_to_another_node_and_are_answered_as_on_that_node()
    {
        await using var nodes = new Nodes();
        await nodes.StartAsync(new NodeOptions { Name = "store", Roles = [Roles.Coordinator, Roles.Parameters, Roles.Inference, Roles.Worker] });
        await nodes.StartAsync(new NodeOptions { Name = "door", Roles = [Roles.Gateway] });
        var here = nodes.All[0].Cluster;
        var version = (await TrainAsync(nodes, here)).Version;
        var random = new Random(1);
        // nearly twice what one message between nodes takes
        var values = Enumerable.Range(0, 30 * 16_000).Select(_ => random.NextSingle() * 100).ToArray();
        var targets = Enumerable.Range(0, 16_000).Select(_ => random.Next(2) == 0 ? "0" : "1").ToArray();
        var array = new RawSamples.Array([30], values, targets);
        await using var outside = await RemoteCluster.ConnectAsync(nodes.All[1].Address);
        foreach (var there in new[] { nodes.All[1].Cluster, outside })
        {
            Assert.Equal(await here.EvaluateAsync(version, array), await there.EvaluateAsync(version, array).WaitAsync(Nodes.Patience));
            // and in parts
            ((ActorCluster)there).MostBytesEvaluated = 300_000;
            Assert.Equal(await here.EvaluateAsync(version, array), await there.EvaluateAsync(version, array).WaitAsync(Nodes.Patience));
            Assert.Equal((await here.PredictAsync(version, array)).Outputs.ToArray(), (await there.PredictAsync(version, array).WaitAsync(Nodes.Patience)).Outputs.ToArray());
            // a fault is numbered as in the whole
            var faults = new List<string>();
            foreach (var cluster in new[] { here, there })
                faults.Add((await Assert.ThrowsAsync<InputException>(() => cluster.EvaluateAsync(version, array with { Targets = [.. targets[..^1], "neither"] }))).Message);
            Assert.Equal(faults[0], faults[1]);
        }
    }

    [Fact]
    public async Task Two_nodes_are_told_that_they_are_too_few()
    {
        await using var nodes = new Nodes();
        await nodes.StartAsync(new NodeOptions { Name = "one", Roles = [Roles.Gateway] });
        await nodes.StartAsync(new NodeOptions { Name = "two", Roles = [Roles.Gateway] });
        using var patience = new CancellationTokenSource(Nodes.Patience);
        using var looks = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!nodes.Log.Contains("The cluster has two nodes", StringComparison.Ordinal))
            await looks.WaitForNextTickAsync(patience.Token);
    }

    [Fact]
    public async Task A_node_with_another_store_is_refused()
    {
        await using var nodes = new Nodes();
        await nodes.StartAsync(new NodeOptions { Name = "one", Roles = [Roles.Coordinator] });
        var refused = await Assert.ThrowsAsync<ClusterException>(() => nodes.StartAsync(new NodeOptions { Name = "two", Roles = [Roles.Parameters] }));
        Assert.Contains("different stores", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>As when the others take it for dead while it joins, see the end-to-end tests: nobody waits for it for ever.</summary>
    [Fact]
    public async Task A_node_that_ends_before_it_is_up_says_so()
    {
        var folder = Directory.CreateTempSubdirectory("clusternet-joining-");
        var options = new NodeOptions { Name = "late", Port = 0, DataDirectory = folder.FullName, Roles = [Roles.Worker], Seeds = [$"127.0.0.1:{Nodes.FreePort()}"] };
        await using (var node = await ClusterNode.BeginAsync(options, new ModelCatalog(ModelCatalog.BuiltIn)))
        {
            var joining = node.JoinAsync();
            await CoordinatedShutdown.Get(node.System).Run(CoordinatedShutdown.ClusterDowningReason.Instance);
            var fault = await Assert.ThrowsAsync<ClusterException>(() => joining.WaitAsync(Nodes.Patience));
            Assert.StartsWith("the node late has ended before it was up: it was cut off from most of the cluster, or the others took it for dead", fault.Message, StringComparison.Ordinal);
        }
        folder.Delete(true);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_named()
    {
        await using var nodes = new Nodes();
        var first = await nodes.StartAsync(new NodeOptions { Name = "one", Roles = [Roles.Gateway] });
        var refused = await Assert.ThrowsAsync<ClusterException>(() => nodes.StartAsync(new NodeOptions { Name = "two", Roles = [Roles.Gateway], Port = first.Address.Port }));
        Assert.Contains(first.Address.ToString(), refused.Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_store_that_does_not_answer_is_named_without_its_password()
    {
        await using var nodes = new Nodes();
        var port = Nodes.FreePort();
        var refused = await Assert.ThrowsAsync<ClusterException>(() =>
            nodes.StartAsync(new NodeOptions { Postgres = $"Host=127.0.0.1;Port={port};Database=nowhere;Username=me;Password=geheim" }));
        Assert.Contains($"127.0.0.1:{port}/nowhere", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", refused.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("131080b", false)]
    [InlineData("131081b", true)]
    [InlineData("64k", false)]
    [InlineData("4m", true)]
    public void Frames_have_room_for_a_piece(string size, bool isRight)
    {
        var faults = new NodeOptions { DataDirectory = "data", Hocon = $"akka {{ remote.dot-netty.tcp.maximum-frame-size = {size} }}" }.Validate();
        if (isRight)
            Assert.Empty(faults);
        else
            Assert.Contains("131081", Assert.Single(faults).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_that_is_wrong_with_the_settings_is_said_at_once()
    {
        var options = new NodeOptions
        {
            Name = "a b",
            Host = "0.0.0.0",
            Port = 70000,
            Seeds = ["node-1", "node-1:4053", "::1:4053", "[::1]:4053"],
            Roles = ["worker", "parameter"],
            Workers = 0,
            Postgres = "Host=db;Pasword=geheim",
            Hocon = "akka { a = [ }",
        };
        var refused = await Assert.ThrowsAsync<InputException>(() => ClusterNode.StartAsync(options, new Learning.Models.ModelCatalog([])));
        Assert.Equal(
            ["name", "public-host", "port", "seeds[0]", "seeds[2]", "roles[1]", "workers", "data-dir", "store.postgres", "hocon"],
            refused.Faults.Select(fault => fault.Place));
        Assert.DoesNotContain("geheim", refused.Message, StringComparison.Ordinal);
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(Nodes.Patience);
        while (!isSo())
            await Task.Delay(1, patience.Token);
    }

    private static async Task<JobResult> TrainAsync(Nodes nodes, ICluster cluster, JobSpec? spec = null)
    {
        using var patience = new CancellationTokenSource(Nodes.Patience);
        try
        {
            var job = await cluster.SubmitAsync(spec ?? Job, patience.Token);
            await foreach (var progress in cluster.WatchAsync(job, patience.Token))
                Assert.True(progress.Status is not JobStatus.Failed, progress.Failure);
            return (await cluster.JobAsync(job, patience.Token)).Result!;
        }
        catch (Exception error) when (error is OperationCanceledException or ClusterException)
        {
            throw new TimeoutException($"{error.Message}\n{nodes.Log}", error);
        }
    }
}
