using ClusterNet.Cluster.Tests.OneHash;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Tests.Clusters;

/// <summary>A checkpoint whose bytes have changed in the store is seen by its checksum, loudly, and gives way to the one before: the job ends with the same weights.</summary>
public sealed class DamagedCheckpointTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(180);

    [Fact]
    public async Task A_checkpoint_that_was_changed_in_the_store_gives_way_to_the_one_before()
    {
        var folder = Directory.CreateTempSubdirectory("clusternet-damaged-");
        using var log = new MemoryLog();
        using var patience = new CancellationTokenSource(Patience);
        var spec = OneHashJobs.Long with { Training = OneHashJobs.Long.Training with { Epochs = 60, Checkpoint = new CheckpointSpec(20, 3), Shards = 2, Workers = 2 } };
        JobId job;
        await using (var cluster = await StartAsync(folder, log))
        {
            job = await cluster.SubmitAsync(spec, patience.Token);
            while ((await cluster.JobAsync(job, patience.Token)).CommittedCheckpoints.Count < 2)
                await Task.Yield();
            await cluster.InterruptAsync(job, patience.Token);
        }
        SqliteConnection.ClearAllPools();
        var damaged = DamageLatest(Path.Combine(folder.FullName, "clusternet.db"));
        await using (var cluster = await StartAsync(folder, log))
        {
            Assert.Equal(damaged, (await cluster.JobAsync(job, patience.Token)).CommittedCheckpoints[^1]);
            await cluster.ResumeAsync(job, patience.Token);
            await foreach (var progress in cluster.WatchAsync(job, patience.Token))
                Assert.True(progress.Status is not JobStatus.Failed, progress.Failure);
            var details = await cluster.JobAsync(job, patience.Token);
            Assert.Equal(ClusterFixture.Plain(spec).SelectedSha256, details.Result!.WeightsSha256);
            ClusterFixture.AssertEverySampleWasVisitedOnce(details);
            Assert.Contains(details.Generations, generation => generation.Reason.Contains("damaged", StringComparison.Ordinal) && generation.RestoreStep < damaged);
            Assert.Contains("damaged", log.ToString(), StringComparison.Ordinal);
        }
        SqliteConnection.ClearAllPools();
        folder.Delete(true);
    }

    private static Task<LocalCluster> StartAsync(DirectoryInfo folder, MemoryLog log) =>
        LocalCluster.StartAsync(folder.FullName, new ModelCatalog(ModelCatalog.BuiltIn), logging => logging.AddProvider(log), string.Empty, default);

    /// <summary>Turns one bit over in the middle of the latest checkpoint of a shard.</summary>
    private static long DamageLatest(string path)
    {
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        connection.Open();
        using var read = connection.CreateCommand();
        read.CommandText = "SELECT sequence_number, snapshot FROM snapshot WHERE persistence_id LIKE 'shard-%-1' ORDER BY sequence_number DESC LIMIT 1";
        using var reader = read.ExecuteReader();
        Assert.True(reader.Read());
        var (step, bytes) = (reader.GetInt64(0), (byte[])reader[1]);
        reader.Close();
        bytes[bytes.Length / 2] ^= 4;
        using var write = connection.CreateCommand();
        write.CommandText = "UPDATE snapshot SET snapshot = $bytes WHERE persistence_id LIKE 'shard-%-1' AND sequence_number = $step";
        write.Parameters.AddWithValue("$bytes", bytes);
        write.Parameters.AddWithValue("$step", step);
        Assert.Equal(1, write.ExecuteNonQuery());
        return step;
    }
}
