using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Hosting;
using Akka.Remote.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>A node with the hosting extensions finds the registry and the inference host under their keys, and the one finds the other.</summary>
public sealed class HostingTests
{
    [Fact]
    public async Task A_node_reaches_the_registry_by_its_proxy_and_serving_reaches_it_too()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddAkka("hosting", (akka, _) => akka
            .AddHocon(TestStore.Config, HoconAddMode.Prepend)
            .ConfigureLoggers(loggers => loggers.ClearLoggers())
            .WithRemoting("127.0.0.1", 0)
            .WithClustering(new ClusterOptions { Roles = ["coordinator"] })
            .AddModelRegistry("coordinator")
            .AddServing(new ModelCatalog(ModelCatalog.BuiltIn)));
        using var host = builder.Build();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await host.StartAsync(patience.Token);
        var actors = host.Services.GetRequiredService<ActorRegistry>();
        var cluster = Akka.Cluster.Cluster.Get(host.Services.GetRequiredService<ActorSystem>());
        await cluster.JoinAsync(cluster.SelfAddress, patience.Token);

        var version = new ModelVersionId("tumor", 1);
        var reserved = await actors.Get<ModelRegistry>().Ask<ModelProtocol.Replies.Reserved>(new ModelProtocol.Commands.Reserve("tumor", new JobId("tumor-1")), patience.Token);
        Assert.Equal(version, reserved.Version);

        var samples = new RawSamples.Array([1], new float[1], []);
        var failed = await actors.Get<InferenceHost>().Ask<ServingProtocol.Replies.PredictFailed>(new ServingProtocol.Queries.Predict(version, samples), patience.Token);
        Assert.Equal(ServingProtocol.FailureKind.UnknownModel, failed.Kind);
        await host.StopAsync(patience.Token);
    }
}
