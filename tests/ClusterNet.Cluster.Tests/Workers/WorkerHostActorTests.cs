using Akka.Actor;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Workers;
using ClusterNet.Learning.Models;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Tests.Workers;

/// <summary>A node reads a job's data once: whoever prepares the job keeps them for the workers that come next. And it says what kind of processor it has.</summary>
public class WorkerHostActorTests() : TestKit(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config))
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Workers_find_what_was_read_when_the_job_was_prepared()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "a,b,target\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n");
        var spec = TestJobs.Xor();
        spec = spec with { Data = spec.Data with { Source = file, Target = "target" } };
        var host = Sys.ActorOf(WorkerHostActor.PropsFor(new ModelCatalog(ModelCatalog.BuiltIn), new Replies.Capacity(1, 1), DataFolders.Any));
        host.Tell(new Commands.Prepare(spec));
        var prepared = await ExpectMsgAsync<Replies.Prepared>(Patience);

        // to read them again is not possible, and nobody but the node holds them
        File.Delete(file);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        host.Tell(new Commands.Enlist(TestJobs.Id, spec, prepared.Plan, 1));
        await ExpectMsgAsync<Replies.Enlisted>(Patience);
    }

    [Fact]
    public async Task Of_many_jobs_that_are_prepared_one_after_the_other_the_last_ones_data_are_kept()
    {
        var host = Sys.ActorOf(WorkerHostActor.PropsFor(new ModelCatalog(ModelCatalog.BuiltIn), new Replies.Capacity(1, 1), DataFolders.Any));
        for (var i = 0; i < 4; i++)
        {
            host.Tell(new Commands.Prepare(TestJobs.Xor(training => training with { Seed = i })));
            await ExpectMsgAsync<Replies.Prepared>(Patience);
        }
        await AwaitAssertAsync(() => Assert.Single(((ActorRefWithCell)host).Children), Patience);
    }

    [Fact]
    public async Task Whoever_asks_for_the_trial_of_its_processor_is_told_the_same()
    {
        var host = Sys.ActorOf(WorkerHostActor.PropsFor(new ModelCatalog(ModelCatalog.BuiltIn), new Replies.Capacity(1, 1), DataFolders.Any));
        // two while it is tried, one later
        var trials = await Task.WhenAll(host.Ask<Replies.Trial>(new Queries.GetTrial(), Patience), host.Ask<Replies.Trial>(new Queries.GetTrial(), Patience));
        var later = await host.Ask<Replies.Trial>(new Queries.GetTrial(), Patience);
        Assert.All(trials, trial => Assert.Equal(later, trial));
        Assert.Matches("^[0-9a-f]{64}$", later.Sha256);
    }
}
