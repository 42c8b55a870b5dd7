using System.Reflection;
using TorchSharp;

namespace ClusterNet.Cluster.Models;

/// <summary>What a model is trained with: another version may compute other bits.</summary>
internal static class LibraryVersions
{
    /// <summary>By name. libtorch is the one that TorchSharp's version was built for; nothing is loaded to find out.</summary>
    public static IReadOnlyDictionary<string, string> All { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["ClusterNet"] = Of(typeof(LibraryVersions).Assembly),
        ["TorchSharp"] = Of(typeof(torch).Assembly),
        [".NET"] = Environment.Version.ToString(),
    };

    private static string Of(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? assembly.GetName().Version?.ToString() ?? "unknown";
}
