using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using TorchSharp;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>What a gateway is held against: Kestrel, a minimal API as its documentation shows it, and one call of the module for each request. It takes and gives the same JSON as the gateway.</summary>
internal sealed class MinimalApi : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Dictionary<string, DirectModel> _models;

    private MinimalApi(WebApplication app, Dictionary<string, DirectModel> models) => (_app, _models) = (app, models);

    public Uri Address => new(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public static async Task<MinimalApi> StartAsync()
    {
        var models = ServedWorkload.All.ToDictionary(workload => workload.Name, workload => new DirectModel(workload));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        builder.Services.ConfigureHttpJsonOptions(options => options.SerializerOptions.TypeInfoResolverChain.Add(new System.Text.Json.Serialization.Metadata.DefaultJsonTypeInfoResolver()));
        var app = builder.Build();
        app.MapPost("/predict/{model}", (string model, Body body) =>
        {
            // one thread a call, as the cluster's: two cores have a request each
            torch.set_num_threads(1);
            var probabilities = models[model].Predict(body.Inputs[0].Data);
            return Results.Json(new Answer(model, "1", [new Output("probabilities", "FP32", [1, probabilities.Length], probabilities)]));
        });
        await app.StartAsync();
        return new MinimalApi(app, models);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        foreach (var model in _models.Values)
            model.Dispose();
    }

    internal sealed record Body(Input[] Inputs);

    internal sealed record Input(string Name, string Datatype, long[] Shape, float[] Data);

    private sealed record Answer(string ModelName, string ModelVersion, Output[] Outputs);

    private sealed record Output(string Name, string Datatype, long[] Shape, float[] Data);
}
