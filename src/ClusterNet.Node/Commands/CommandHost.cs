using ClusterNet.Cluster;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary>What all commands work with.</summary>
/// <param name="Screen">where they write</param>
/// <param name="Services">what the program registered; its models among them</param>
/// <param name="StartCluster">gives a cluster that this process is part of</param>
/// <param name="Preview">what a job would do, found out without a cluster</param>
/// <param name="Environment">reads an environment variable</param>
/// <param name="Clock">for rates and remaining times</param>
internal sealed record CommandHost(
    Screen Screen,
    IServiceProvider Services,
    Func<ClusterOptions, CancellationToken, Task<ICluster>> StartCluster,
    Func<JobSpec, JobPreview> Preview,
    Func<string, string?> Environment,
    TimeProvider Clock);

/// <summary>What a job would do.</summary>
/// <param name="Parts">samples by part: training, validation, test</param>
/// <param name="SampleShape">shape of one prepared sample</param>
/// <param name="Classes">labels by index; empty for regression</param>
/// <param name="Layers">of the model</param>
/// <param name="Parameters">of the model</param>
internal sealed record JobPreview(
    IReadOnlyList<(string Part, int Samples)> Parts,
    IReadOnlyList<int> SampleShape,
    IReadOnlyList<string> Classes,
    IReadOnlyList<(string Name, string Kind, IReadOnlyList<int> Shape, int Parameters)> Layers,
    int Parameters);
