using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>The node that a command speaks to dies while another works for it: the command asks again by way of a node that is left, and its user sees nothing of that.</summary>
[Collection(ProcessClusters.Name)]
public sealed class ContactNodeTests(ITestOutputHelper output)
{
    private const int Copies = 400;

    [SkippableFact]
    public async Task A_job_is_handed_in_though_the_node_that_was_asked_dies_while_its_data_are_read()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        var data = Path.GetTempFileName();
        try
        {
            var lines = await File.ReadAllLinesAsync(Repository.Wdbc);
            await File.WriteAllLinesAsync(data, [lines[0], .. Enumerable.Repeat(lines[1..], Copies).SelectMany(rows => rows)]);
            var submitting = cluster.SubmitAsync("breast-cancer.yaml", $"data.source={data}", "data.format=csv", "training.epochs=", "training.steps=20");
            await UntilReadAsync(cluster.Nodes[3], data, submitting);
            Assert.False(submitting.IsCompleted, submitting.IsCompletedSuccessfully ? "the data were not seen being read: there must be more of them" : $"{submitting.Exception}");
            await cluster.KillAsync(cluster.Nodes[0]);
            var job = await cluster.EndOfAsync(await submitting);
            Assert.Equal(20, job["steps"]!.GetValue<int>());
        }
        finally
        {
            File.Delete(data);
        }
    }

    private static async Task UntilReadAsync(ClusterMember node, string file, Task unless)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!unless.IsCompleted && await pace.WaitForNextTickAsync())
        {
            if (Directory.EnumerateFiles($"/proc/{node.Process.Id}/fd").Any(descriptor => new FileInfo(descriptor).LinkTarget == file))
                return;
        }
    }
}
