using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Models;

/// <summary>Labels and traffic: which versions answer for a model.</summary>
internal sealed partial class ModelRegistryState
{
    /// <summary>What who routes requests is told.</summary>
    public IReadOnlyList<ModelEntry> Entries() =>
    [
        .. _models.Where(pair => pair.Value.Versions.Count > 0)
            .Select(pair => new ModelEntry(pair.Key, [.. pair.Value.Versions.Keys], new Dictionary<string, int>(pair.Value.Labels), pair.Value.Traffic)),
    ];

    public RegistryDecision Decide(Commands.SetLabel command)
    {
        if (Missing(command.Model, command.Version) is { } fault)
            return new([], new Replies.Unknown(fault));
        var entry = _models[command.Model];
        var reply = new Replies.Labelled(command.Model, command.Label, command.Version);
        if (!ModelLabels.IsValid(command.Label))
            return Refuse("label", $"'{command.Label}' can't be a label: up to {ModelLabels.MaxLength} letters, digits, '.', '_', '-', the first a letter");
        if ((entry.Labels.TryGetValue(command.Label, out var labelled) ? labelled : (int?)null) == command.Version)
            return new([], reply);
        if (command.Version is null && Targets(entry.Traffic).Contains(command.Label))
            return Refuse("label", $"the traffic of '{command.Model}' goes to '{command.Label}': change the traffic first");
        return new([new Events.LabelChanged(command.Model, command.Label, command.Version)], reply);
    }

    public RegistryDecision Decide(Commands.NoteArithmetic command)
    {
        if (Missing(command.Model, command.Version.Version) is { } fault)
            return new([], new Replies.Unknown(fault));
        var found = FoundOf(_models[command.Model], command.Version.Version);
        return found.Arithmetic is not null ? new([], found) : new([new Events.ArithmeticNoted(command.Version, command.Arithmetic)], found with { Arithmetic = command.Arithmetic });
    }

    private static Replies.Found FoundOf(StateEntry entry, int version) => new(entry.Versions[version]) { Arithmetic = entry.Arithmetics.GetValueOrDefault(version) };

    public RegistryDecision Decide(Commands.SetTraffic command)
    {
        if (Missing(command.Model, null) is { } fault)
            return new([], new Replies.Unknown(fault));
        var entry = _models[command.Model];
        var reply = new Replies.TrafficSet(command.Model, command.Traffic);
        if (command.Instead is { } expected && !TrafficRules.Same(expected, entry.Traffic))
            return new([], reply with { Traffic = entry.Traffic });
        if (TrafficRules.Faults(command.Traffic, EntryFor(command.Model, entry)) is { Count: > 0 } faults)
            return new([], new Replies.Refused(faults));
        return TrafficRules.Same(command.Traffic, entry.Traffic) ? new([], reply) : new([new Events.TrafficChanged(command.Model, command.Traffic, command.Reason)], reply);
    }

    private static ModelEntry EntryFor(string model, StateEntry entry) => new(model, [.. entry.Versions.Keys], entry.Labels, entry.Traffic);

    private static RegistryDecision Refuse(string place, string message) => new([], new Replies.Refused([new Fault(place, message)]));

    private static IEnumerable<string> Targets(TrafficSpec traffic) => traffic.Arms.Select(arm => arm.Target).Concat(traffic.Shadows);

    /// <summary>Why a version can't be deleted now.</summary>
    private static IEnumerable<Fault> InUse(StateEntry entry, ModelVersionId version, IReadOnlySet<ModelVersionId> used)
    {
        if (entry.Labels.TryGetValue(ModelLabels.Production, out var production) && production == version.Version)
            yield return new Fault(version.ToString(), $"is in use: it has the label '{ModelLabels.Production}'; promote another version, or take the label off (clusternet models label {version} {ModelLabels.Production} --remove)");
        var named = EntryFor(version.Model, entry);
        foreach (var target in Targets(entry.Traffic).Where(target => named.NumberOf(target) == version.Version))
            yield return new Fault(version.ToString(), $"is in use: the model's traffic goes to '{target}'; change the traffic first");
        if (used.Contains(version) && !entry.Traffic.IsUnloaded)
            yield return new Fault(version.ToString(), $"is in use: it answers predictions, or did within the last minute; unload the model first (POST /v2/repository/models/{version.Model}/unload), or wait until nobody asks it any more");
    }

    private Fault NoLabel(string model, string label)
    {
        var labels = _models[model].Labels;
        return labels.Count == 0
            ? new Fault("version", $"no version of model '{model}' has the label '{label}'; put it on one with: clusternet models label {model}:VERSION {label}")
            : Fault.Unknown("version", label, [.. labels.Keys]) with { Message = $"no version of model '{model}' has the label '{label}'; it has {string.Join(", ", labels.Select(pair => $"{pair.Key} (version {pair.Value})"))}" };
    }
}
