using ClusterNet.Cluster.Serving;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Inference;

/// <summary>Whether the cluster says what models there are, and those that are to be loaded before anybody asks are: of each that is registered, a version that answers. All others say for themselves whether they are ready.</summary>
/// <param name="serving">the models</param>
/// <param name="settings">patience</param>
internal sealed class ServingCheck(IModelServing serving, InferenceSettings settings) : IHealthCheck
{
    /// <summary>Its name among the checks.</summary>
    public const string Name = "serving";

    /// <summary>The tag of checks that readiness is made of, those of a node among them.</summary>
    public const string ReadyTag = "ready";

    /// <summary>Whether a check is part of readiness.</summary>
    public static bool IsPartOfReadiness(HealthCheckRegistration check) => check.Tags.Contains(ReadyTag);

    /// <inheritdoc/>
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(settings.CheckTimeout);
        try
        {
            var versions = await serving.VersionsAsync(null, patience.Token).ConfigureAwait(false);
            var lacking = versions.GroupBy(version => version.Id.Model)
                .Where(model => settings.IsRequired(model.Key) && model.Any(version => version.Share > 0) && !model.Any(version => version.Share > 0 && version.State == ServingState.Ready))
                .Select(model => $"{model.Key} ({model.First(version => version.Share > 0).State.ToString().ToLowerInvariant()})").ToArray();
            if (lacking.Length > 0)
                return HealthCheckResult.Unhealthy($"models that are to be there from the start are not loaded yet: {string.Join(", ", lacking)}");
            return HealthCheckResult.Healthy($"{versions.Count(version => version.State == ServingState.Ready)} of {versions.Count} versions are loaded");
        }
        catch (PredictionException failure)
        {
            return HealthCheckResult.Unhealthy(failure.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy($"the cluster has not answered within {settings.CheckTimeout.TotalSeconds:0.#} s");
        }
    }
}
