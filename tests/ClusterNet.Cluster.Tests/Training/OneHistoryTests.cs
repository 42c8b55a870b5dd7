using Akka.Actor;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Training;
using Microsoft.Data.Sqlite;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>
/// Two sides of a split that write on under one name leave one history: the journal takes a number once, so the first write decides, and whoever comes second stops and has to read what the other wrote.
/// </summary>
public sealed class OneHistoryTests : TestKit
{
    private static readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-history-");

    public OneHistoryTests()
        : base(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config)
            .WithFallback("akka.test.single-expect-default = 60s")
            .WithFallback(NodeConfiguration.Store("SQLite.MS", new SqliteConnectionStringBuilder { DataSource = Path.Combine(_folder.FullName, "clusternet.db"), DefaultTimeout = 30 }.ToString())))
    {
    }

    [Fact]
    public async Task Who_writes_second_stops_and_goes_on_from_what_the_first_wrote()
    {
        var (one, other) = (Create("one"), Create("other"));
        Assert.Empty((await AskAsync<Replies.Jobs>(one, new Queries.ListJobs())).Ids);
        Assert.Empty((await AskAsync<Replies.Jobs>(other, new Queries.ListJobs())).Ids);
        var first = (await AskAsync<Replies.Allocated>(one, new Commands.Allocate("a"))).Job;
        Watch(other);
        // it does not know of the first: what it would give out is the same id
        other.Tell(new Commands.Allocate("a"));
        await ExpectTerminatedAsync(other);
        var successor = Create("successor");
        Assert.Equal([first], (await AskAsync<Replies.Jobs>(successor, new Queries.ListJobs())).Ids);
        Assert.NotEqual(first, (await AskAsync<Replies.Allocated>(successor, new Commands.Allocate("a"))).Job);
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        SqliteConnection.ClearAllPools();
        _folder.Delete(true);
    }

    private IActorRef Create(string name) => Sys.ActorOf(JobDirectoryActor.PropsFor(_ => ActorRefs.Nobody, resumesByItself: true, TimeProvider.System), name);

    private static Task<T> AskAsync<T>(IActorRef actor, object question) => actor.Ask<T>(question, TimeSpan.FromSeconds(60));
}
