using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace ClusterNet.Gateway.Api;

/// <summary>Models by HTTP.</summary>
internal static class ModelEndpoints
{
    private const string Tag = "models";

    public static void MapModels(this IEndpointRouteBuilder api)
    {
        api.MapGet("/models", async (ICluster cluster, CancellationToken cancel) => new ModelsDocument([.. (await cluster.ModelsAsync(cancel).ConfigureAwait(false)).Select(ModelDocument.Of)]))
            .WithTags(Tag).WithSummary("All versions of all models").Needs(Scopes.Predict);
        api.MapGet("/models/{model}", async (string model, ICluster cluster, CancellationToken cancel) => ModelDocument.Of(await cluster.ModelAsync(model, null, cancel).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("The newest version of a model").Needs(Scopes.Predict);
        api.MapGet("/models/{model}/versions/{version:int}", async (string model, int version, ICluster cluster, CancellationToken cancel) => ModelDocument.Of(await cluster.ModelAsync(model, version, cancel).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("A version: inputs, classes, metrics, where it comes from").Needs(Scopes.Predict);
        api.MapGet("/models/{model}/signature", async (string model, string? version, IModelServing serving, CancellationToken cancel) =>
                SignatureDocument.Of(await serving.VersionAsync(model, version, cancel).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("What a version takes and answers: names, types, shapes, categories").WithDescription("version is a number or a label; without it, the version that most of the traffic leads to.").Needs(Scopes.Predict);
        api.MapDelete("/models/{model}/versions/{version:int}", async (string model, int version, ICluster cluster, CancellationToken cancel) => await DeleteAsync(cluster, model, version, cancel).ConfigureAwait(false))
            .WithTags(Tag).WithSummary("Delete a version and its weights").Act("models.delete", Scopes.Admin);
        api.MapDelete("/models/{model}", async (string model, ICluster cluster, CancellationToken cancel) => await DeleteAsync(cluster, model, null, cancel).ConfigureAwait(false))
            .WithTags(Tag).WithSummary("Delete all versions of a model").Act("models.delete", Scopes.Admin);
    }

    private static async Task<DeletedDocument> DeleteAsync(ICluster cluster, string model, int? version, CancellationToken cancel) =>
        new([.. (await cluster.DeleteModelAsync(model, version, cancel).ConfigureAwait(false)).Select(id => new VersionDocument(id.Model, id.Version))]);
}
