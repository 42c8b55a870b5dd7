using System.Globalization;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Hosting;

/// <summary>Reads a serving file: how each model is served. See <c>config/serving.yaml</c>.</summary>
internal static class ServingFile
{
    private const int MostReplicas = 1024;
    private const int MostSamples = 1 << 24;
    private static readonly (string Unit, double Seconds)[] _units = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)];

    /// <summary>Reads and checks a file.</summary>
    /// <param name="path">as the user gave it</param>
    /// <exception cref="InputException">all that is wrong, each with its line</exception>
    public static ServingOptions Load(string path) => Read(SettingsFile.ReadText(path, "serving file"), path);

    /// <summary>The same, from text.</summary>
    internal static ServingOptions Read(string text, string source)
    {
        var document = YamlSettings.Read(text, source, "defaults, models");
        var faults = new List<Fault>();
        var reader = new SettingReader(document.Root.Entries, "", faults);
        var defaults = ReadModel(reader.Section("defaults"), new ModelServingOptions(), isDefault: true);
        var models = new Dictionary<string, ModelServingOptions>(StringComparer.Ordinal);
        var named = reader.Section("models");
        foreach (var name in named.Others().Keys.ToArray())
        {
            if (!JobId.IsValid(name))
                named.Fault(name, "can't be the name of a model");
            models[name] = ReadModel(named.Section(name), defaults, isDefault: false);
        }
        named.Finish();
        reader.Finish();
        return faults.Count == 0 ? new ServingOptions { Defaults = defaults, Models = models } : throw new InputException([.. faults.Select(document.Locate).Distinct()]);
    }

    private static ModelServingOptions ReadModel(SettingReader model, ModelServingOptions defaults, bool isDefault)
    {
        var bounds = defaults.Actor;
        var queue = model.Section("queue");
        var options = defaults with
        {
            Replicas = model.Integer("replicas", defaults.Replicas, 0, MostReplicas),
            Placement = model.Has("placement") ? model.Texts("placement") : defaults.Placement,
            DefaultTimeout = Duration(model, "timeout", defaults.DefaultTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1)),
            Preload = model.Truth("preload", defaults.Preload),
            Actor = bounds with
            {
                MaxBatchSamples = model.Integer("max-batch-size", bounds.MaxBatchSamples, 1, MostSamples),
                MaxQueueDelay = Duration(model, "max-queue-delay", bounds.MaxQueueDelay, TimeSpan.Zero, TimeSpan.FromSeconds(10)),
                MaxWaitingRequests = queue.Integer("requests", bounds.MaxWaitingRequests, 1, MostSamples),
                MaxWaitingSamples = queue.Integer("samples", bounds.MaxWaitingSamples, 1, MostSamples),
                WarmUp = model.Integer("warm-up", bounds.WarmUp, 0, 1000),
                ThreadsPerModel = model.Integer("threads", bounds.ThreadsPerModel, 1, 1024),
                IdleAfter = Duration(model, "idle-after", bounds.IdleAfter, TimeSpan.FromSeconds(1), TimeSpan.FromDays(365)),
            },
        };
        model.Allow("placement");
        queue.Finish();
        // versions and labels are a model's own
        if (!isDefault && ReadTraffic(model) is { } traffic)
            options = options with { Traffic = traffic };
        model.Finish();
        return options;
    }

    private static TrafficSpec? ReadTraffic(SettingReader model)
    {
        if (!model.Has("traffic"))
            return null;
        var reader = model.Section("traffic");
        var weights = reader.Section("weights");
        var arms = weights.Others().Keys.ToArray().Select(target => new TrafficArm(target, weights.Number(target, 1, 1e-9, TrafficRules.MostWeight))).ToArray();
        weights.Finish();
        var traffic = new TrafficSpec(arms) { Shadows = reader.Texts("shadows") };
        foreach (var target in arms.Select(arm => arm.Target).Where(target => !IsTarget(target)))
            weights.Fault(target, "is neither a version nor a label");
        foreach (var target in traffic.Shadows.Where(target => !IsTarget(target)))
            reader.Fault("shadows", $"'{target}' is neither a version nor a label");
        if (reader.Has("rollback"))
            traffic = traffic with { Rollback = ReadRollback(reader.Section("rollback"), arms) };
        reader.Finish();
        return traffic;
    }

    private static RollbackRule ReadRollback(SettingReader reader, TrafficArm[] arms)
    {
        var canary = reader.Text("canary");
        if (canary is null)
            reader.Fault("canary", "says which of the weights is taken out");
        else if (arms.Length < 2 || arms.All(arm => arm.Target != canary))
            reader.Faults.Add(Fault.Unknown(reader.PathOf("canary"), canary, [.. arms.Select(arm => arm.Target)]));
        var rule = new RollbackRule(canary ?? "");
        rule = rule with
        {
            MaxErrorRate = reader.Number("max-error-rate", rule.MaxErrorRate, 0, 1),
            MaxLatency = reader.Has("max-latency") ? Duration(reader, "max-latency", TimeSpan.FromSeconds(1), TimeSpan.FromTicks(1), TimeSpan.FromHours(1)) : null,
            Window = Duration(reader, "window", rule.Window, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
            LeastRequests = reader.Integer("least-requests", rule.LeastRequests, 1, 1_000_000),
        };
        reader.Allow("max-latency");
        reader.Finish();
        return rule;
    }

    private static bool IsTarget(string target) =>
        ModelLabels.IsValid(target) || (int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0);

    private static TimeSpan Duration(SettingReader reader, string name, TimeSpan fallback, TimeSpan least, TimeSpan most)
    {
        if (reader.Text(name) is not { } text)
            return fallback;
        foreach (var (unit, seconds) in _units)
        {
            if (!text.EndsWith(unit, StringComparison.Ordinal) || !double.TryParse(text[..^unit.Length].TrimEnd(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count))
                continue;
            var ticks = count * seconds * TimeSpan.TicksPerSecond;
            if (ticks >= least.Ticks && ticks <= most.Ticks)
                return new TimeSpan((long)Math.Round(ticks));
            reader.Fault(name, $"'{text}' is out of range: {Text(least)} to {Text(most)}");
            return fallback;
        }
        reader.Fault(name, $"'{text}' is no time; write a number and ms, s, m or h, such as 200ms");
        return fallback;
    }

    private static string Text(TimeSpan time) =>
        time >= TimeSpan.FromHours(1) ? FormattableString.Invariant($"{time.TotalHours}h") : time >= TimeSpan.FromSeconds(1) ? FormattableString.Invariant($"{time.TotalSeconds}s") : FormattableString.Invariant($"{time.TotalMilliseconds}ms");
}
