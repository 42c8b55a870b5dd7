using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace ClusterNet.Learning.Models;

/// <summary>Registers models.</summary>
public static class ModelServices
{
    /// <summary>Makes a model available to job files under a name, with the same rights as the built-in ones.</summary>
    /// <param name="services">of the host</param>
    /// <param name="name">what <c>model.kind</c> says; no other model may have it</param>
    /// <param name="factory">makes the module; runs once for every worker, and must make the same each time</param>
    public static IServiceCollection AddModel(this IServiceCollection services, string name, ModelFactory factory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(factory);
        services.TryAddSingleton<ModelCatalog>();
        return services.AddSingleton(new ModelRegistration(name, factory));
    }

    /// <summary>Adds <c>mlp</c>, <c>cnn</c> and <c>rnn</c>.</summary>
    public static IServiceCollection AddBuiltInModels(this IServiceCollection services)
    {
        foreach (var (name, factory) in ModelCatalog.BuiltIn)
            services.AddModel(name, factory);
        return services;
    }
}
