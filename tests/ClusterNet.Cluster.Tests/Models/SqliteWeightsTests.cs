using Akka.Configuration;
using Akka.Persistence.Sql;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using Microsoft.Data.Sqlite;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>The store that users have keeps weights as the one of the tests does: one snapshot a part, overwritten, found again, deleted.</summary>
public sealed class SqliteWeightsTests : TestKit
{
    private static readonly string Folder = Directory.CreateTempSubdirectory("clusternet-weights-").FullName;
    private static readonly ModelVersionId Version = new("tumor", 1);

    public SqliteWeightsTests()
        : base(ConfigurationFactory.ParseString($$"""
            akka.persistence {
              journal.plugin = "akka.persistence.journal.sql"
              snapshot-store {
                plugin = "akka.persistence.snapshot-store.sql"
                sql {
                  connection-string = "Data Source={{Path.Combine(Folder, "store.db").Replace('\\', '/')}}"
                  provider-name = "SQLite.MS"
                }
              }
            }
            """).WithFallback(TestStore.Config).WithFallback(SqlPersistence.DefaultConfiguration))
    {
    }

    [Fact]
    public async Task A_part_is_saved_overwritten_loaded_and_deleted()
    {
        foreach (var first in new[] { 1f, 7f })
            await Outcome<WeightsProtocol.Saved>(WeightsPartActor.PropsForSave(Version, new(8, 3), Samples.Payload(first, 2, 3)));
        await Outcome<WeightsProtocol.Saved>(WeightsPartActor.PropsForSave(Version, new(11, 1), Samples.Payload(9)));
        var loaded = await Outcome<WeightsProtocol.Loaded>(WeightsPartActor.PropsForLoad(Version, new(8, 3)));
        Assert.Equal([7f, 2f, 3f], loaded.Values.Span.ToArray());
        await Outcome<WeightsProtocol.Deleted>(WeightsPartActor.PropsForDelete(Version, new(8, 3)));
        await Outcome<WeightsProtocol.LoadFailed>(WeightsPartActor.PropsForLoad(Version, new(8, 3)));
        await Outcome<WeightsProtocol.Loaded>(WeightsPartActor.PropsForLoad(Version, new(11, 1)));
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        SqliteConnection.ClearAllPools();
        Directory.Delete(Folder, recursive: true);
    }

    private async Task<T> Outcome<T>(Akka.Actor.Props part)
    {
        var probe = CreateTestProbe();
        probe.ChildActorOf(part);
        return await probe.ExpectMsgAsync<T>(TimeSpan.FromSeconds(20));
    }
}
