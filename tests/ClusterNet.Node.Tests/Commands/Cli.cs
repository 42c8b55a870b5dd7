using System.Text;
using System.Text.Json;
using ClusterNet.Cluster;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using ClusterNet.Node.Commands;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Microsoft.Extensions.DependencyInjection;
using Spectre.Console.Testing;

namespace ClusterNet.Node.Tests.Commands;

/// <summary>Runs command lines against a fake cluster and keeps what they print.</summary>
internal sealed class Cli : IDisposable
{
    private readonly TestConsole _output = new();
    private readonly TestConsole _error = new();

    public Cli()
    {
        _output.Profile.Width = _error.Profile.Width = 160;
        Interrupt = new CancellationTokenSource();
    }

    public FakeCluster Cluster { get; init; } = new();

    public TemporaryFolder Folder { get; } = new();

    public CancellationTokenSource Interrupt { get; }

    public bool IsTerminal { get; init; }

    /// <summary>A cluster of this process and the real data and models instead of pretended ones.</summary>
    public bool IsReal { get; init; }

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    public string Input { get; init; } = "";

    public int ClustersStarted { get; private set; }

    public string Output => _output.Output;

    public string Error => _error.Output;

    public string DataDirectory => Path.Combine(Folder.Path, "store");

    public JsonElement Document => JsonDocument.Parse(Output).RootElement;

    public async Task<int> RunAsync(params string[] args)
    {
        await using var services = new ServiceCollection().AddBuiltInModels().BuildServiceProvider();
        var host = new CommandHost(
            new Screen(_output, _error, () => new MemoryStream(Encoding.UTF8.GetBytes(Input)), IsTerminal, IsTerminal),
            services,
            (options, cancel) =>
            {
                Assert.True(args.Contains("--data-dir") || options.DataDirectory == DataDirectory);
                ClustersStarted++;
                return IsReal ? LocalNode.StartAsync(options, cancel) : Task.FromResult<ICluster>(Cluster);
            },
            spec => IsReal ? ClusterNetProgram.Preview(spec, services.GetRequiredService<ModelCatalog>()) : Preview(spec),
            name => name == "CLUSTERNET_DATA_DIR" ? DataDirectory : null,
            Clock);
        return await CommandLine.RunAsync(args, host, Interrupt.Token);
    }

    public string JobFile(string changes = "") => Folder.File("job.yaml", $$"""
        name: job
        data:
          source: builtin:wdbc
        model:
          kind: mlp
          hidden: [4]
        training:
          epochs: 3
        {{changes}}
        """);

    public void Dispose()
    {
        Folder.Dispose();
        Interrupt.Dispose();
        _output.Dispose();
        _error.Dispose();
    }

    private static JobPreview Preview(JobSpec spec)
    {
        if (spec.Model.Settings.TryGetValue("wrong", out _))
            throw new Core.Faults.InputException("model.wrong", "no setting of this name");
        return new JobPreview(
            [("training", 400), ("validation", 80), ("test", 89)],
            [30],
            ["0", "1"],
            [("dense1", "Linear", [4], 124), ("output", "Linear", [2], 3000)],
            3124);
    }
}
