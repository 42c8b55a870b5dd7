using System.Collections;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Gateway;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Hosting;

/// <summary>
/// A node's settings: a node file, over it environment variables, over these the command line. A variable is the setting's path with the prefix <c>CLUSTERNET__</c>, two underscores for each dot, one
/// for each hyphen: <c>CLUSTERNET__PUBLIC_HOST</c>, <c>CLUSTERNET__STORE__POSTGRES</c>. Lists may be given with commas there.
/// </summary>
internal static partial class NodeSettings
{
    /// <summary>What all variables begin with.</summary>
    public const string Prefix = "CLUSTERNET__";

    private const string Names = "name, host, port, public-host, seeds, roles, workers, threads-per-worker, data-dir, data-folders, store, http, grpc, auth, rate-limit, audit, lane, tls, telemetry, log, serving, hocon";
    private static readonly string[] _lists = ["seeds", "roles", "data-folders", "auth.certificate-scopes"];

    /// <summary>Reads and checks all settings.</summary>
    /// <param name="file">the node file, or null</param>
    /// <param name="environment">variables by name</param>
    /// <param name="flags">path, value and option of what the command line gives, in order</param>
    /// <param name="dataDirectory">where nothing names one</param>
    /// <exception cref="InputException">all that is wrong, each with its line, variable or option</exception>
    public static NodeOptions Read(string? file, IDictionary environment, IEnumerable<(string Path, string Value, string Option)> flags, string dataDirectory) =>
        ReadAll(file, environment, flags, dataDirectory).Node;

    /// <summary>The same, with what its gateway is told.</summary>
    public static (NodeOptions Node, GatewaySettings Gateway) ReadAll(string? file, IDictionary environment, IEnumerable<(string Path, string Value, string Option)> flags, string dataDirectory)
    {
        var faults = new List<Fault>();
        var document = file is null
            ? new SettingsDocument(new SettingValue.Map(new Dictionary<string, SettingValue>()), "settings", [])
            : YamlSettings.Read(SettingsFile.ReadText(file, "node file"), file, Names);
        foreach (var variable in environment.Keys.Cast<string>().Where(key => key.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal))
            Set(document, faults, variable[Prefix.Length..].ToLowerInvariant().Replace("__", ".", StringComparison.Ordinal).Replace('_', '-'), (string?)environment[variable] ?? "", variable);
        foreach (var (path, value, option) in flags)
            Set(document, faults, path, value, option);
        var (options, gateway) = Read(document, faults, dataDirectory, file is null ? "" : Path.GetDirectoryName(Path.GetFullPath(file))!);
        // what could not be read has its default there
        faults.AddRange(options.Validate());
        faults.AddRange(gateway.Validate());
        return faults.Count == 0 ? (options, gateway) : throw new InputException([.. faults.Select(document.Locate).Distinct()]);
    }

    private static void Set(SettingsDocument document, List<Fault> faults, string path, string text, string place)
    {
        SettingValue value = _lists.Contains(path)
            ? new SettingValue.List([.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(item => new SettingValue.Scalar(item))])
            : new SettingValue.Scalar(text);
        if (document.Set(path.Split('.'), value, place) is { } obstacle)
            faults.Add(new Fault(place, obstacle));
    }

    private static (NodeOptions Node, GatewaySettings Gateway) Read(SettingsDocument document, List<Fault> faults, string dataDirectory, string folder)
    {
        var defaults = new NodeOptions();
        var reader = new SettingReader(document.Root.Entries, "", faults);
        var options = defaults with
        {
            Name = reader.Text("name", defaults.Name)!,
            Host = reader.Text("host", defaults.Host)!,
            Port = reader.Integer("port", 4053, 0, ushort.MaxValue),
            PublicHost = reader.Text("public-host") is { Length: > 0 } known ? known : null,
            Seeds = reader.Texts("seeds"),
            Roles = reader.Has("roles") ? reader.Texts("roles") : defaults.Roles,
            Workers = reader.Integer("workers", defaults.Workers, 1),
            ThreadsPerWorker = reader.Integer("threads-per-worker", defaults.ThreadsPerWorker, 1),
            DataDirectory = reader.Text("data-dir") is { Length: > 0 } given ? Resolve(document, "data-dir", given, folder) : dataDirectory,
            DataFolders = [.. reader.Texts("data-folders").Select(path => Resolve(document, "data-folders", path, folder))],
        };
        reader.Allow("roles");
        var store = reader.Section("store");
        options = options with { Postgres = store.Text("postgres") is { Length: > 0 } postgres ? postgres : null };
        store.Finish();
        var http = reader.Section("http");
        options = options with { HttpHost = http.Text("host", defaults.HttpHost)!, HttpPort = (int?)http.Integer("port", 0L, ushort.MaxValue) };
        var gateway = ReadHttp(document, http, folder, faults);
        http.Finish();
        var lane = reader.Section("lane");
        options = options with { LanePort = lane.Integer("port", 0, 0, ushort.MaxValue) };
        lane.Finish();
        var telemetry = reader.Section("telemetry");
        options = options with { Otlp = telemetry.Text("otlp") is { Length: > 0 } otlp ? otlp : null };
        telemetry.Finish();
        var log = reader.Section("log");
        options = options with { LogFormat = log.Text("format", defaults.LogFormat)! };
        log.Finish();
        options = options with { Tls = ReadTls(document, reader.Section("tls"), folder) };
        if (reader.Text("hocon") is { Length: > 0 } hocon)
            options = options with { Hocon = ReadHocon(Resolve(document, "hocon", hocon, folder), faults) };
        gateway = ReadGateway(document, reader, gateway, options, folder);
        if (reader.Text("serving") is { Length: > 0 } serving)
            options = options with { Serving = ReadServing(Resolve(document, "serving", serving, folder), faults) };
        reader.Finish();
        return (options, gateway);
    }

    private static ServingOptions ReadServing(string path, List<Fault> faults)
    {
        try
        {
            return ServingFile.Load(path);
        }
        catch (InputException error)
        {
            // each says its own file and line
            faults.AddRange(error.Faults);
            return new ServingOptions();
        }
    }

    private static TlsFiles? ReadTls(SettingsDocument document, SettingReader tls, string folder)
    {
        var (certificate, key, authorities) = (PathOf("certificate"), PathOf("key"), PathOf("authorities"));
        var password = tls.Text("password");
        tls.Finish();
        if (certificate is null && key is null && authorities is null && password is null)
            return null;
        if (certificate is null || authorities is null)
            tls.Fault(certificate is null ? "certificate" : "authorities", "TLS needs this file too: the node's certificate and the authorities of the cluster go together");
        return new TlsFiles(certificate ?? "", key, password, authorities ?? "");

        string? PathOf(string name) => tls.Text(name) is { Length: > 0 } path ? Resolve(document, $"tls.{name}", path, folder) : null;
    }

    private static string ReadHocon(string path, List<Fault> faults)
    {
        try
        {
            return SettingsFile.ReadText(path, "HOCON file");
        }
        catch (InputException error)
        {
            faults.AddRange(error.Faults.Select(fault => new Fault("hocon", fault.ToString())));
            return "";
        }
    }

    /// <summary>What stands in a file is relative to that file, all else to where the user is.</summary>
    private static string Resolve(SettingsDocument document, string setting, string path, string folder) =>
        folder.Length > 0 && document.IsFromSource(setting) ? Path.GetFullPath(path, folder) : Path.GetFullPath(path);
}
