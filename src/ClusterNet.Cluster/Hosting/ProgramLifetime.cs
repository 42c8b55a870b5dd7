using Microsoft.Extensions.Hosting;

namespace ClusterNet.Cluster.Hosting;

/// <summary>
/// Leaves signals to the program that the node is part of. The host's own way is to shut down at Ctrl-C at once, which would take the actors away from a job that is about to checkpoint.
/// </summary>
internal sealed class ProgramLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
