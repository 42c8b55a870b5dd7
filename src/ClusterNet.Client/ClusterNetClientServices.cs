using ClusterNet.Client;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the client to a program's services.</summary>
public static class ClusterNetClientServices
{
    /// <summary>Adds <see cref="IClusterNetClient"/>, one for the whole program. It connects with the first request.</summary>
    /// <param name="services">of the program</param>
    /// <param name="configure">says how the cluster is reached</param>
    public static IServiceCollection AddClusterNetClient(this IServiceCollection services, Action<ClusterNetClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        return services.AddSingleton<IClusterNetClient>(_ =>
        {
            var options = new ClusterNetClientOptions();
            configure(options);
            return new RetryingClient(options);
        });
    }
}
