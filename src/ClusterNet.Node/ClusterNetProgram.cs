using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Node.Commands;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Microsoft.Extensions.DependencyInjection;

namespace ClusterNet.Node;

/// <summary>The <c>clusternet</c> program. A program of yours that calls it is <c>clusternet</c> with models of your own.</summary>
public static class ClusterNetProgram
{
    /// <summary>Runs a command line and gives the process's exit code: 0 done, 1 failed, 2 bad input, 130 interrupted.</summary>
    /// <param name="args">the command line, without the program's name</param>
    /// <param name="startCluster">gives a cluster that this process is part of</param>
    /// <param name="configure">registers more services: <c>services.AddModel("name", context => module)</c></param>
    public static Task<int> RunAsync(
        string[] args,
        Func<ClusterOptions, CancellationToken, Task<ICluster>> startCluster,
        Action<IServiceCollection>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(args);
        ArgumentNullException.ThrowIfNull(startCluster);
        // first of all: what comes next loads the libraries that may not be
        if (OpenFileLimit.Fault() is not { } fault)
            return RunCommandAsync(args, startCluster, configure);
        Console.Error.WriteLine($"clusternet: {fault}");
        return Task.FromResult(ExitCode.Failed);
    }

    /// <summary>What a job would do: reads its data and builds its model.</summary>
    internal static JobPreview Preview(JobSpec spec, ModelCatalog models)
    {
        var data = DataPipeline.Load(spec.Data, spec.Training.Seed);
        using var model = models.Build(spec.Model, spec.Training.Loss, data.Preparation.Signature, spec.Training.Seed, spec.Training.ThreadsPerWorker);
        return new JobPreview(
            [("training", data.Training.Count), ("validation", data.Validation.Count), ("test", data.Test.Count)],
            data.Preparation.Signature.Shape,
            data.Preparation.Signature.Classes,
            [.. model.Summary.Layers.Select(layer => (layer.Name, layer.Kind, layer.OutputShape, layer.Parameters))],
            model.Summary.Parameters);
    }

    private static async Task<int> RunCommandAsync(string[] args, Func<ClusterOptions, CancellationToken, Task<ICluster>> startCluster, Action<IServiceCollection>? configure)
    {
        var services = new ServiceCollection().AddBuiltInModels();
        configure?.Invoke(services);
        await using var provider = services.BuildServiceProvider();
        using var interrupts = new Interrupts();
        var host = new CommandHost(Screen.OfProcess(), provider, startCluster, spec => Preview(spec, provider.GetRequiredService<ModelCatalog>()), Environment.GetEnvironmentVariable, TimeProvider.System);
        return await CommandLine.RunAsync(args, host, interrupts.Token);
    }
}
