using System.Diagnostics;
using ClusterNet.Benchmarks.Local;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>A node that has trained both models and serves them: in this process, or in another one.</summary>
internal static class ServingNode
{
    public const string Command = "serving-node";
    private const int TrainingSteps = 20;

    /// <summary>Starts one here.</summary>
    /// <param name="folder">of its store</param>
    /// <param name="dataFile">the pictures</param>
    /// <param name="bounds">of each model's actor</param>
    /// <param name="cancel">gives up</param>
    public static async Task<ClusterNode> StartAsync(string folder, string dataFile, ServingSettings bounds, CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        var options = new NodeOptions
        {
            Name = "serving",
            DataDirectory = folder,
            ResumesJobs = false,
            Serving = new ServingOptions { Defaults = new ModelServingOptions { Actor = bounds } },
        };
        var node = await ClusterNode.StartAsync(options, new ModelCatalog(ModelCatalog.BuiltIn), cancel: cancel);
        foreach (var workload in ServedWorkload.All)
            await TrainAsync(node.Cluster, workload.Training, dataFile, cancel);
        return node;
    }

    /// <summary>The other process of a measurement: serves until standard input ends.</summary>
    public static async Task ServeAsync(string folder, string dataFile, CancellationToken cancel)
    {
        await using var node = await StartAsync(folder, dataFile, new ServingSettings(), cancel);
        Console.WriteLine(node.Address);
        await Console.In.ReadToEndAsync(cancel);
    }

    /// <summary>Starts it.</summary>
    public static async Task<(Process Process, string Address)> LaunchAsync(string folder, string dataFile, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [Command, folder, dataFile]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        var process = Process.Start(start) ?? throw new InvalidOperationException("no process");
        return (process, await process.StandardOutput.ReadLineAsync(cancel) ?? throw new InvalidOperationException("the other process ended at once"));
    }

    private static async Task TrainAsync(ICluster cluster, Workload workload, string dataFile, CancellationToken cancel)
    {
        var job = await cluster.SubmitAsync(workload.Job(dataFile, TrainingSteps, new LocalSettings(TimeSpan.Zero, 1, 1, 1)), cancel);
        await foreach (var moment in cluster.WatchAsync(job, cancel))
        {
            if (moment.Failure is { } failure)
                throw new InvalidOperationException($"{workload.Name}: {failure}");
        }
    }
}
