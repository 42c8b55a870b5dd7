using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace ClusterNet.EndToEnd.Tests.Compose;

/// <summary>A service of docker/compose.yaml, as far as it can be run without a container engine.</summary>
/// <param name="Name">by which the others know it</param>
/// <param name="Command">what its image's entry point is given</param>
/// <param name="Environment">its variables</param>
/// <param name="Health">the command that tells whether it is well, for <c>CMD</c> as it stands, for <c>CMD-SHELL</c> one string; empty for that of its image</param>
/// <param name="After">the services that must be well before it starts</param>
internal sealed record ComposeService(string Name, IReadOnlyList<string> Command, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<string> Health, IReadOnlyList<string> After);

/// <summary>Reads docker/compose.yaml and what docker/Dockerfile says of how its image runs.</summary>
internal static partial class ComposeFile
{
    /// <summary>The services by name, in the file's order.</summary>
    /// <param name="variables">those that the file leaves to its user</param>
    public static IReadOnlyDictionary<string, ComposeService> Read(IReadOnlyDictionary<string, string> variables)
    {
        using var text = new StreamReader(Path.Combine(Repository.Root, "docker", "compose.yaml"));
        var stream = new YamlStream();
        stream.Load(text);
        return Entries(Entries(stream.Documents[0].RootNode)["services"]).ToDictionary(pair => pair.Key, pair => Service(pair.Key, Entries(pair.Value), variables));
    }

    /// <summary>Entry point, health check and variables of the image.</summary>
    public static (IReadOnlyList<string> EntryPoint, IReadOnlyList<string> Health, IReadOnlyDictionary<string, string> Environment) Image()
    {
        var lines = File.ReadAllLines(Path.Combine(Repository.Root, "docker", "Dockerfile"));
        return (
            Words(lines.Single(line => line.StartsWith("ENTRYPOINT ", StringComparison.Ordinal))["ENTRYPOINT ".Length..]),
            Words(lines.Single(line => line.StartsWith("HEALTHCHECK ", StringComparison.Ordinal)).Split(" CMD ")[1]),
            lines.Where(line => line.StartsWith("ENV ", StringComparison.Ordinal)).Select(line => line["ENV ".Length..].Split('=', 2)).ToDictionary(parts => parts[0], parts => parts[1]));
    }

    private static string[] Words(string json) => JsonSerializer.Deserialize<string[]>(json)!;

    private static ComposeService Service(string name, Dictionary<string, YamlNode> entries, IReadOnlyDictionary<string, string> variables) => new(
        name,
        [.. List(entries.GetValueOrDefault("command"))],
        entries.TryGetValue("environment", out var environment) ? Entries(environment).ToDictionary(pair => pair.Key, pair => Filled(pair.Value.ToString(), variables)) : [],
        [.. entries.TryGetValue("healthcheck", out var check) ? List(Entries(check).GetValueOrDefault("test")) : []],
        [.. entries.TryGetValue("depends_on", out var others) ? Entries(others).Select(pair =>
        {
            Assert.Equal("service_healthy", Entries(pair.Value)["condition"].ToString());
            return pair.Key;
        }) : []]);

    private static IEnumerable<string> List(YamlNode? node) => node is YamlSequenceNode several ? several.Select(item => item.ToString()) : [];

    /// <summary>A mapping with what is merged into it: its own entries go first, then the earlier of those merged.</summary>
    private static Dictionary<string, YamlNode> Entries(YamlNode mapping)
    {
        var entries = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in ((YamlMappingNode)mapping).Where(pair => pair.Key.ToString() != "<<"))
            entries[key.ToString()] = value;
        foreach (var (_, merged) in ((YamlMappingNode)mapping).Where(pair => pair.Key.ToString() == "<<"))
        {
            foreach (var (key, value) in (merged is YamlSequenceNode several ? several : Enumerable.Repeat(merged, 1)).SelectMany(Entries))
                entries.TryAdd(key, value);
        }
        return entries;
    }

    private static string Filled(string text, IReadOnlyDictionary<string, string> variables) => Variable().Replace(text, match => variables[match.Groups[1].Value]);

    [GeneratedRegex(@"\$\{([A-Z_]+)(:\?[^}]*)?\}")]
    private static partial Regex Variable();
}
